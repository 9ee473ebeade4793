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

/// What the marks of pictures mean.
struct Legend {
  bool parallel = false;
  bool routed = false;
  bool sharing = false;

  void add(const std::string& code, const std::string& class_name) {
    if (seen_.insert(code).second) items_.push_back(fmt::format("{} {}", code, class_name));
  }

  std::string text() const {
    auto items = items_;
    if (parallel) items.emplace_back("┬ in parallel");
    if (routed) items.emplace_back("~ routed");
    if (sharing) items.emplace_back("● owner, ○ shares, ◉ both");
    return joined(items, " · ", widest);
  }

 private:
  std::vector<std::string> items_;
  std::set<std::string> seen_;
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
    Legend legend;
    add_to(legend);
    return drawn({}) + legend.text();
  }

  /// Without numbers and legend; the label stands in the first line.
  std::string labelled(std::string_view label) const { return drawn(label); }

  void add_to(Legend& legend) const {
    const auto any = [&](auto holds) { return std::any_of(plan_.livs.begin(), plan_.livs.end(), holds); };
    for (std::size_t i = 0; i < plan_.livs.size(); ++i) legend.add(code(i), plan_.livs[i].liv_class->name);
    legend.parallel |= any([](const genome::LivPlan& liv) { return liv.path_size > 1; });
    legend.routed |= any([](const genome::LivPlan& liv) { return liv.routed; });
    legend.sharing |= !lanes_.empty();
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

  /// With the numbers of the LIVs above where there is no label.
  std::string drawn(std::string_view label) const {
    const auto per_row = (widest - label_width) / cell_;
    std::string all;
    for (std::size_t begin = 0; begin < first_of_column_.size(); begin += per_row) {
      if (begin > 0 && label.empty()) all += "\n";
      all += rows(begin, std::min(begin + per_row, first_of_column_.size()), begin > 0 && !label.empty() ? " " : label);
    }
    return all;
  }

  /// The columns begin … end − 1 with what is below them.
  std::string rows(std::size_t begin, std::size_t end, std::string_view label) const {
    std::size_t height = 1;
    for (auto column = begin; column < end; ++column) height = std::max(height, plan_.livs[first_of_column_[column]].path_size);
    std::vector<const Lane*> lanes;
    for (const auto& lane : lanes_) {
      const auto is_here = [&](const Group& group) {
        return column_of_[group.livs.front()] < end && column_of_[group.livs.back()] >= begin;
      };
      if (std::any_of(lane.groups.begin(), lane.groups.end(), is_here)) lanes.push_back(&lane);
    }
    const std::size_t top = label.empty() ? 1 : 0;
    Canvas canvas(top + height + lanes.size(), label_width + (end - begin) * cell_);
    canvas.write(0, 0, label.empty() ? "LIV" : label);
    for (auto column = begin; column < end; ++column) {
      if (top > 0) canvas.write(0, place(column, begin), std::to_string(first_of_column_[column] + 1));
      draw_column(canvas, top, column, place(column, begin));
    }
    for (std::size_t i = 0; i < lanes.size(); ++i) {
      canvas.write(top + height + i, 0, lanes[i]->label);
      for (const auto& group : lanes[i]->groups) draw_group(canvas, top + height + i, group, begin, end);
    }
    return canvas.text();
  }

  /// Where the code of a column begins; the joint is before it.
  std::size_t place(std::size_t column, std::size_t begin) const { return label_width + (column - begin) * cell_ + 1; }

  void draw_column(Canvas& canvas, std::size_t top, std::size_t column, std::size_t at) const {
    const auto first = first_of_column_[column];
    const auto size = plan_.livs[first].path_size;
    for (std::size_t k = 0; k < size; ++k) {
      const auto row = top + k;
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

std::string strip_pictures(const genome::Catalogue& catalogue, const std::vector<LabelledGenome>& genomes, bool coloured) {
  std::string all;
  Legend legend;
  for (const auto& [label, genome] : genomes) {
    const Picture picture(catalogue, genome, coloured);
    all += picture.labelled(label);
    picture.add_to(legend);
  }
  return all + legend.text();
}

}  // namespace starling::tools
