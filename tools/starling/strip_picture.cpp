#include "strip_picture.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <vector>

#include <starling/genome/plan.hpp>

#include "architecture.hpp"
#include "text.hpp"

namespace starling::tools {
namespace {

constexpr std::size_t widest = 80;
constexpr std::size_t label_width = 9;

/// Characters by row and column; a character may carry escape sequences.
class Canvas {
 public:
  Canvas(std::size_t rows, std::size_t columns) : rows_(rows, std::vector<std::string>(columns, " ")) {}

  std::string& at(std::size_t row, std::size_t column) { return rows_[row][column]; }

  /// Plain ASCII, from a column on.
  void write(std::size_t row, std::size_t column, std::string_view text) {
    for (std::size_t i = 0; i < text.size(); ++i) at(row, column + i) = text[i];
  }

  std::string text() const {
    std::string all;
    for (const auto& row : rows_) {
      std::string line;
      for (const auto& character : row) line += character;
      line.erase(line.find_last_not_of(' ') + 1);
      all += line;
      all += '\n';
    }
    return all;
  }

 private:
  std::vector<std::vector<std::string>> rows_;
};

/// LIVs that share something, the owner first.
struct Group {
  std::vector<std::size_t> livs;
};

/// Groups of one kind that do not overlap.
struct Lane {
  const char* label;
  std::vector<Group> groups;
};

class Picture {
 public:
  Picture(const genome::Catalogue& catalogue, const genome::Genome& genome, bool coloured)
      : catalogue_(catalogue), plan_(genome::make_plan(catalogue, genome)), coloured_(coloured) {
    for (std::size_t i = 0; i < plan_.livs.size(); ++i) {
      const bool begins = plan_.livs[i].path_first == i;
      if (begins) first_of_column_.push_back(i);
      column_of_.push_back(first_of_column_.size() - 1);
      cell_ = std::max(cell_, code(i).size() + 2);
    }
    collect("weights", [](const genome::LivPlan& liv) { return liv.weight_owner; });
    collect("reads", [](const genome::LivPlan& liv) { return liv.feature_owner; });
  }

  std::string text() const {
    const auto per_row = (widest - label_width) / cell_;
    std::string all;
    for (std::size_t begin = 0; begin < first_of_column_.size(); begin += per_row) {
      if (begin > 0) all += "\n";
      all += rows(begin, std::min(begin + per_row, first_of_column_.size()));
    }
    return all + legend();
  }

 private:
  /// "A1"
  std::string code(std::size_t liv) const {
    const auto& liv_class = *plan_.livs[liv].liv_class;
    return fmt::format("{}{}{}", family_letter(liv_class.family), liv_class.id, plan_.livs[liv].derived ? "*" : "");
  }

  template <class Owner>
  void collect(const char* label, Owner owner_of) {
    std::vector<Group> groups(plan_.livs.size());
    for (std::size_t i = 0; i < plan_.livs.size(); ++i) groups[owner_of(plan_.livs[i])].livs.push_back(i);
    const auto first_lane = lanes_.size();
    for (auto& group : groups) {
      if (group.livs.size() < 2) continue;
      auto lane = lanes_.begin() + static_cast<std::ptrdiff_t>(first_lane);
      // Groups come in the order of their owners: one that begins behind all others of a lane fits in.
      while (lane != lanes_.end() && column_of_[lane->groups.back().livs.back()] >= column_of_[group.livs.front()]) ++lane;
      if (lane == lanes_.end()) lane = lanes_.insert(lane, {label, {}});
      lane->groups.push_back(std::move(group));
    }
  }

  /// The columns begin … end − 1 with what is below them.
  std::string rows(std::size_t begin, std::size_t end) const {
    std::size_t height = 1;
    for (auto column = begin; column < end; ++column) height = std::max(height, plan_.livs[first_of_column_[column]].path_size);
    std::vector<const Lane*> lanes;
    for (const auto& lane : lanes_) {
      const auto is_here = [&](const Group& group) {
        return column_of_[group.livs.front()] < end && column_of_[group.livs.back()] >= begin;
      };
      if (std::any_of(lane.groups.begin(), lane.groups.end(), is_here)) lanes.push_back(&lane);
    }
    Canvas canvas(1 + height + lanes.size(), label_width + (end - begin) * cell_);
    canvas.write(0, 0, "LIV");
    for (auto column = begin; column < end; ++column) draw_column(canvas, column, place(column, begin));
    for (std::size_t i = 0; i < lanes.size(); ++i) {
      canvas.write(1 + height + i, 0, lanes[i]->label);
      for (const auto& group : lanes[i]->groups) draw_group(canvas, 1 + height + i, group, begin, end);
    }
    return canvas.text();
  }

  /// Where the code of a column begins; the joint is before it.
  std::size_t place(std::size_t column, std::size_t begin) const { return label_width + (column - begin) * cell_ + 1; }

  void draw_column(Canvas& canvas, std::size_t column, std::size_t at) const {
    const auto first = first_of_column_[column];
    const auto size = plan_.livs[first].path_size;
    canvas.write(0, at, std::to_string(first + 1));
    for (std::size_t k = 0; k < size; ++k) {
      const auto row = 1 + k;
      canvas.at(row, at - 1) = size == 1 ? "─" : k == 0 ? "┬" : k + 1 == size ? "└" : "├";
      const auto name = code(first + k);
      canvas.write(row, at, name);
      if (coloured_) {
        canvas.at(row, at) = family_colour(plan_.livs[first + k].liv_class->family) + canvas.at(row, at);
        canvas.at(row, at + name.size() - 1) += "\x1b[0m";
      }
      auto behind = at + name.size();
      if (plan_.livs[first + k].routed) canvas.at(row, behind++) = "~";
      for (; k == 0 && behind < at - 1 + cell_; ++behind) canvas.at(row, behind) = "─";
    }
  }

  void draw_group(Canvas& canvas, std::size_t row, const Group& group, std::size_t begin, std::size_t end) const {
    const auto left = column_of_[group.livs.front()];
    const auto right = column_of_[group.livs.back()];
    if (left >= end || right < begin) return;
    const auto from = left < begin ? place(begin, begin) - 1 : place(left, begin);
    const auto to = right >= end ? place(end - 1, begin) + cell_ - 2 : place(right, begin);
    for (auto at = from; at <= to; ++at) canvas.at(row, at) = "─";
    for (const auto liv : group.livs) {
      const auto column = column_of_[liv];
      if (column < begin || column >= end || liv == group.livs.front()) continue;
      canvas.at(row, place(column, begin)) = column == left ? "◉" : "○";
    }
    const bool has_owner = left >= begin;
    auto& mark = canvas.at(row, place(std::max(left, begin), begin));
    if (has_owner && mark != "◉") mark = "●";
  }

  std::string legend() const {
    std::vector<std::string> items;
    std::set<std::string> seen;
    const auto any = [&](auto holds) { return std::any_of(plan_.livs.begin(), plan_.livs.end(), holds); };
    for (std::size_t i = 0; i < plan_.livs.size(); ++i) {
      const auto& liv_class = *plan_.livs[i].liv_class;
      if (seen.insert(code(i)).second) items.push_back(fmt::format("{} {}", code(i), liv_class.name));
    }
    if (any([](const genome::LivPlan& liv) { return liv.path_size > 1; })) items.emplace_back("┬ in parallel");
    if (any([](const genome::LivPlan& liv) { return liv.routed; })) items.emplace_back("~ routed");
    if (!lanes_.empty()) items.emplace_back("● owner, ○ shares, ◉ both");
    return joined(items, " · ", widest);
  }

  const genome::Catalogue& catalogue_;
  genome::Plan plan_;
  bool coloured_;
  std::size_t cell_ = 0;  ///< columns of text per column of LIVs: joint, code, mark
  std::vector<std::size_t> first_of_column_;
  std::vector<std::size_t> column_of_;  ///< by LIV
  std::vector<Lane> lanes_;
};

}  // namespace

std::string strip_picture(const genome::Catalogue& catalogue, const genome::Genome& genome, bool coloured) {
  return Picture(catalogue, genome, coloured).text();
}

}  // namespace starling::tools
