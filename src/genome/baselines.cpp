#include <starling/genome/baselines.hpp>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <optional>

#include <starling/base/error.hpp>
#include <starling/genome/validity.hpp>

namespace starling::genome {
namespace {

/// Every second LIV is `map`; of the mixers in between some are `attention`, the others `mixer`.
struct Stripes {
  const char* name;
  const char* attention;
  const char* mixer;
  const char* map;
};

constexpr std::array table{
    Stripes{"transformer++", "SA-1", "SA-1", "GMemless"},
    Stripes{"striped-mamba", "SA-1", "Rec-1", "GMemless"},
    Stripes{"striped-hyena", "SA-1", "GConv-2", "GMemless"},
};

bool has_class(const Catalogue& catalogue, std::string_view name) {
  const auto& classes = catalogue.classes();
  return std::any_of(classes.begin(), classes.end(), [&](const LivClass& liv_class) { return liv_class.name == name; });
}

bool is_available(const Catalogue& catalogue, const Stripes& stripes) {
  return has_class(catalogue, stripes.attention) && has_class(catalogue, stripes.mixer) && has_class(catalogue, stripes.map);
}

Genome striped(const Catalogue& catalogue, const Stripes& stripes, std::size_t depth) {
  const auto id = [&](const char* name) { return static_cast<std::int16_t>(catalogue.at(std::string_view(name)).id); };
  Genome genome;
  genome.livs.resize(depth);
  for (std::size_t i = 0; i < depth; ++i) genome.livs[i].liv_class = id(i % 2 == 0 ? stripes.mixer : stripes.map);
  const std::size_t mixers = (depth + 1) / 2;
  const std::size_t attentions = std::max<std::size_t>(1, (mixers + 3) / 6);
  for (std::size_t i = 0; i < attentions; ++i) {
    const std::size_t position = (2 * i + 1) * mixers / (2 * attentions);
    genome.livs[2 * position].liv_class = id(stripes.attention);
  }
  return genome;
}

constexpr std::size_t most_depth = 512;
constexpr std::int64_t most_width = 65'536;
constexpr std::int64_t width_step = 16;  // four heads at least, each a multiple of four channels

bool is_legal(std::int64_t width) {
  try {
    heads_at(width);
    return true;
  } catch (const UserError&) {
    return false;
  }
}

std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (const auto& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

}  // namespace

std::vector<std::string> baseline_names(const Catalogue& catalogue) {
  std::vector<std::string> names;
  for (const auto& stripes : table) {
    if (is_available(catalogue, stripes)) names.emplace_back(stripes.name);
  }
  return names;
}

Genome baseline(const Catalogue& catalogue, std::string_view name, std::size_t depth) {
  const auto stripes = std::find_if(table.begin(), table.end(), [&](const Stripes& row) { return row.name == name; });
  if (stripes == table.end() || !is_available(catalogue, *stripes)) {
    const auto names = baseline_names(catalogue);
    throw UserError("there is no baseline '" + std::string(name) + "' in the catalogue '" + catalogue.name() + "'" +
                    did_you_mean(name, names) + "; there are: " + joined(names));
  }
  if (depth == 0) throw UserError("baseline '" + std::string(name) + "': the depth must be at least 1");
  return striped(catalogue, *stripes, depth);
}

Match matched_baseline(const Catalogue& catalogue, std::string_view name, std::size_t depth, const Dimensions& dimensions,
                       std::int64_t target, Vary vary, const std::function<bool(std::int64_t)>& fits) {
  std::optional<Match> best;
  // False where all that follow are larger still. A stripe that moves may make a deeper one a little smaller, hence the factor.
  const auto consider = [&](std::size_t livs, std::int64_t width) {
    auto sizes = dimensions;
    sizes.width = width;
    const auto parameters = account(catalogue, baseline(catalogue, name, livs), sizes).parameters.without_embedding();
    if (!best || std::abs(parameters - target) < std::abs(best->parameters - target)) best = Match{livs, width, parameters};
    return parameters / 2 <= target;
  };
  if (vary != Vary::width) {
    for (std::size_t livs = 2; livs <= most_depth && consider(livs, dimensions.width); ++livs) {
    }
  }
  if (vary != Vary::depth) {
    for (std::int64_t width = width_step; width <= most_width; width += width_step) {
      if (!is_legal(width) || (fits && !fits(width))) continue;
      if (!consider(depth, width)) break;
    }
  }
  if (!best) throw UserError("baseline '" + std::string(name) + "': no width fits");
  return *best;
}

Genome genome_or_baseline(const Catalogue& catalogue, std::string_view text, std::size_t depth) {
  const bool is_name = !text.empty() && ((text[0] >= 'a' && text[0] <= 'z') || (text[0] >= 'A' && text[0] <= 'Z'));
  if (is_name) return baseline(catalogue, text, depth);
  auto genome = parse_genome(text);
  require_valid(catalogue, genome);
  return genome;
}

}  // namespace starling::genome
