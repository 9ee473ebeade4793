#include <starling/genome/segments.hpp>

#include <algorithm>
#include <array>
#include <cassert>
#include <tuple>
#include <utility>

#include <starling/genome/legality.hpp>

namespace starling::genome {
namespace {

constexpr std::array<Expansion, 14> expansions = {{{1, 1, false},
                                                   {1, 2, false},
                                                   {1, 4, false},
                                                   {1, 8, false},
                                                   {2, 1, false},
                                                   {4, 1, false},
                                                   {8, 3, false},
                                                   {4, 3, false},
                                                   {2, 1, true},
                                                   {4, 1, true},
                                                   {8, 1, true},
                                                   {16, 1, true},
                                                   {8, 1, false},
                                                   {1, 16, false}}};
/// Code of the first expansion that the table lacks and the catalogue has.
constexpr std::int16_t first_further_code = 101;

/// Codes of token mixings with taps: ten times its number and the taps.
constexpr int taps_base = 10;
static_assert(max_taps < taps_base);

std::vector<Expansion> further_expansions(const Catalogue& catalogue) {
  std::vector<Expansion> further;
  for (const auto& featurizer : catalogue.featurizers()) {
    for (const auto& group : featurizer.groups) {
      const bool is_known = std::find(expansions.begin(), expansions.end(), group.expansion) != expansions.end() ||
                            std::find(further.begin(), further.end(), group.expansion) != further.end();
      if (!is_known) further.push_back(group.expansion);
    }
  }
  return further;
}

template <class E>
std::int16_t number(E value) {
  return static_cast<std::int16_t>(value);
}

std::int16_t token_mixing_code(const FeatureGroup& group) {
  const auto code = number(group.token_mixing);
  return static_cast<std::int16_t>(group.kernel > 0 ? taps_base * code + group.kernel : code);
}

OperatorGenome operator_of(const Segments& all) {
  return {all[position(OperatorGene::featurizer)], static_cast<TokenMixing>(all[position(OperatorGene::token_mixing)]),
          static_cast<Sparsity>(all[position(OperatorGene::sparsity)]),
          static_cast<Nonlinearity>(all[position(OperatorGene::nonlinearity)]),
          static_cast<ChannelMixing>(all[position(OperatorGene::channel_mixing)])};
}

/// A featurizer with other integers; why that is none.
struct Read {
  Featurizer featurizer;
  std::string objection;
};

Read featurizer_of(const Catalogue& catalogue, const Segments& all) {
  const int id = all[position(OperatorGene::featurizer)];
  const auto* const base = find_featurizer(catalogue, id);
  if (base == nullptr) return {{}, "there is no featurizer " + std::to_string(id)};
  Read read{*base, ""};
  for (std::size_t i = 0; i < base->groups.size(); ++i) {
    auto& group = read.featurizer.groups[i];
    const auto integer = [&](GroupGene gene) { return int{all[position(i, gene)]}; };
    const int mixing = integer(GroupGene::token_mixing);
    const bool has_taps = mixing >= taps_base;
    group.token_mixing = static_cast<TokenMixing>(has_taps ? mixing / taps_base : mixing);
    group.kernel = has_taps ? mixing % taps_base : 0;
    group.sparsity = static_cast<Sparsity>(integer(GroupGene::sparsity));
    group.nonlinearity = static_cast<Nonlinearity>(integer(GroupGene::nonlinearity));
    group.channel_mixing = static_cast<ChannelMixing>(integer(GroupGene::channel_mixing));
    group.repeat = integer(GroupGene::repeat);
    const auto expansion = expansion_of(catalogue, integer(GroupGene::expansion));
    if (!expansion) return {{}, "expansion " + std::to_string(integer(GroupGene::expansion)) + " of '" + group.name + "' means none"};
    group.expansion = *expansion;
    // Toeplitz without taps and with 0 of them would be one thing twice.
    if (has_taps && group.kernel == 0) return {{}, "token mixing " + std::to_string(mixing) + " of '" + group.name + "' has no taps"};
  }
  const auto behind = all.begin() + static_cast<std::ptrdiff_t>(position(base->groups.size(), GroupGene::token_mixing));
  if (std::any_of(behind, all.end(), [](std::int16_t gene) { return gene != 0; })) {
    return {{}, "featurizer " + std::to_string(id) + " has " + std::to_string(base->groups.size()) + " feature groups, found more"};
  }
  return read;
}

/// The groups of another featurizer begin as that one has them.
void fill_groups(const Catalogue& catalogue, Segments& all) {
  const auto* const featurizer = find_featurizer(catalogue, all[position(OperatorGene::featurizer)]);
  if (featurizer == nullptr) return;
  const auto own = integers_of(catalogue, *featurizer);
  for (auto i = operator_genes; i < segment_genes; ++i) {
    if (all[i] == 0) all[i] = own[i];
  }
}

int differing(const Segments& a, const Segments& b, std::size_t begin, std::size_t end) {
  int count = 0;
  for (auto i = begin; i < end; ++i) count += a[i] != b[i];
  return count;
}

}  // namespace

std::string segment_gene_name(std::size_t position) {
  constexpr std::array<const char*, operator_genes> of_operator = {"featurizer", "token_mixing", "sparsity", "nonlinearity",
                                                                   "channel_mixing"};
  constexpr std::array<const char*, group_genes> of_group = {"token_mixing",   "sparsity",  "nonlinearity",
                                                             "channel_mixing", "expansion", "repeat"};
  if (position < operator_genes) return std::string("operator_") + of_operator[position];
  const auto behind = position - operator_genes;
  return "group" + std::to_string(behind / group_genes + 1) + '_' + of_group[behind % group_genes];
}

std::vector<std::int16_t> expansion_codes(const Catalogue& catalogue) {
  std::vector<std::int16_t> codes;
  for (std::size_t i = 0; i < expansions.size(); ++i) codes.push_back(static_cast<std::int16_t>(i + 1));
  for (std::size_t i = 0; i < further_expansions(catalogue).size(); ++i) codes.push_back(static_cast<std::int16_t>(first_further_code + i));
  return codes;
}

std::optional<Expansion> expansion_of(const Catalogue& catalogue, int code) {
  if (code >= 1 && code <= std::ssize(expansions)) return expansions[static_cast<std::size_t>(code) - 1];
  if (code < first_further_code) return {};
  const auto further = further_expansions(catalogue);
  const auto index = static_cast<std::size_t>(code - first_further_code);
  return index < further.size() ? std::optional(further[index]) : std::nullopt;
}

std::int16_t expansion_code(const Catalogue& catalogue, const Expansion& expansion) {
  const auto* const found = std::find(expansions.begin(), expansions.end(), expansion);
  if (found != expansions.end()) return static_cast<std::int16_t>(found - expansions.begin() + 1);
  const auto further = further_expansions(catalogue);
  const auto other = std::find(further.begin(), further.end(), expansion);
  return other == further.end() ? std::int16_t{0} : static_cast<std::int16_t>(first_further_code + (other - further.begin()));
}

Segments integers_of(const Catalogue& catalogue, const Featurizer& featurizer) {
  Segments all{};
  assert(featurizer.groups.size() <= max_groups);
  for (std::size_t i = 0; i < featurizer.groups.size(); ++i) {
    const auto& group = featurizer.groups[i];
    all[position(i, GroupGene::token_mixing)] = token_mixing_code(group);
    all[position(i, GroupGene::sparsity)] = number(group.sparsity);
    all[position(i, GroupGene::nonlinearity)] = number(group.nonlinearity);
    all[position(i, GroupGene::channel_mixing)] = number(group.channel_mixing);
    all[position(i, GroupGene::expansion)] = expansion_code(catalogue, group.expansion);
    all[position(i, GroupGene::repeat)] = number(group.repeat);
  }
  return all;
}

Segments integers_of(const Catalogue& catalogue, const LivClass& liv_class) {
  const auto* const featurizer = find_featurizer(catalogue, liv_class.op.featurizer);
  assert(featurizer != nullptr);
  auto all = integers_of(catalogue, *featurizer);
  all[position(OperatorGene::featurizer)] = number(liv_class.op.featurizer);
  all[position(OperatorGene::token_mixing)] = number(liv_class.op.token_mixing);
  all[position(OperatorGene::sparsity)] = number(liv_class.op.sparsity);
  all[position(OperatorGene::nonlinearity)] = number(liv_class.op.nonlinearity);
  all[position(OperatorGene::channel_mixing)] = number(liv_class.op.channel_mixing);
  return all;
}

Segments all_integers(const Catalogue& catalogue, const Liv& liv) {
  const auto start = integers_of(catalogue, catalogue.at(liv.liv_class));
  if (!has_segments(liv)) return start;
  auto all = liv.segments;
  for (std::size_t i = 0; i < operator_genes; ++i) {
    if (all[i] == 0) all[i] = start[i];
  }
  fill_groups(catalogue, all);
  return all;
}

void set_integers(const Catalogue& catalogue, Liv& liv, const Segments& all) {
  const auto start = integers_of(catalogue, catalogue.at(liv.liv_class));
  Segments as_they_begin{};
  as_they_begin[position(OperatorGene::featurizer)] = all[position(OperatorGene::featurizer)];
  fill_groups(catalogue, as_they_begin);
  for (std::size_t i = 0; i < segment_genes; ++i) {
    const auto said = i < operator_genes ? start[i] : as_they_begin[i];
    liv.segments[i] = all[i] == said ? std::int16_t{0} : all[i];
  }
}

const Featurizer* find_featurizer(const Catalogue& catalogue, int id) {
  const auto& all = catalogue.featurizers();
  const auto found = std::find_if(all.begin(), all.end(), [&](const Featurizer& featurizer) { return featurizer.id == id; });
  return found == all.end() ? nullptr : &*found;
}

bool is_alike(const Featurizer& a, const Featurizer& b) {
  return std::equal(a.groups.begin(), a.groups.end(), b.groups.begin(), b.groups.end(), [](const FeatureGroup& x, const FeatureGroup& y) {
    return x.name == y.name && x.parametrisation == y.parametrisation;
  });
}

std::string objection(const Catalogue& catalogue, bool differential, const Segments& all) {
  const auto read = featurizer_of(catalogue, all);
  return read.objection.empty() ? objection(operator_of(all), read.featurizer.groups, differential) : read.objection;
}

std::string objection_at(const Catalogue& catalogue, const Segments& all, std::int64_t width) {
  return objection_at(width, operator_of(all), featurizer_of(catalogue, all).featurizer.groups);
}

ClassDefinition definition(const Catalogue& catalogue, const Liv& liv) {
  auto liv_class = catalogue.at(liv.liv_class);
  const auto all = all_integers(catalogue, liv);
  liv_class.op = operator_of(all);
  if (has_segments(liv)) {
    liv_class.name += '*';
    liv_class.definition.clear();
  }
  return define(std::move(liv_class), featurizer_of(catalogue, all).featurizer);
}

Liv with_normal_class(const Catalogue& catalogue, Liv liv) {
  if (is_empty(liv)) return liv;
  if (!has_segments(liv)) {
    liv.liv_class = static_cast<std::int16_t>(catalogue.first_alike(liv.liv_class));
    return liv;
  }
  const bool differential = catalogue.at(liv.liv_class).differential;
  auto all = all_integers(catalogue, liv);
  const auto* const own = find_featurizer(catalogue, all[position(OperatorGene::featurizer)]);
  assert(own != nullptr);
  using Cost = std::tuple<int, int, bool>;
  std::optional<Cost> least;
  const LivClass* row = nullptr;
  int featurizer = 0;
  for (const auto& candidate : catalogue.classes()) {
    if (candidate.differential != differential) continue;
    const auto& op = candidate.op;
    const int operators = (number(op.token_mixing) != all[position(OperatorGene::token_mixing)]) +
                          (number(op.sparsity) != all[position(OperatorGene::sparsity)]) +
                          (number(op.nonlinearity) != all[position(OperatorGene::nonlinearity)]) +
                          (number(op.channel_mixing) != all[position(OperatorGene::channel_mixing)]);
    for (const auto& other : catalogue.featurizers()) {
      if (!is_alike(other, *own)) continue;
      const Cost cost{differing(all, integers_of(catalogue, other), operator_genes, segment_genes), operators, other.id != op.featurizer};
      if (least && cost >= *least) continue;
      least = cost;
      row = &candidate;
      featurizer = other.id;
    }
  }
  liv.liv_class = static_cast<std::int16_t>(row->id);
  all[position(OperatorGene::featurizer)] = static_cast<std::int16_t>(featurizer);
  set_integers(catalogue, liv, all);
  return liv;
}

std::vector<std::size_t> first_of_class(const Catalogue& catalogue, const Genome& genome) {
  std::vector<std::pair<std::int16_t, Segments>> classes;
  std::vector<std::size_t> first;
  for (std::size_t i = 0; i < genome.depth(); ++i) {
    const auto normal = with_normal_class(catalogue, genome.livs[i]);
    classes.emplace_back(normal.liv_class, normal.segments);
    const auto found = is_empty(normal) ? classes.end() - 1 : std::find(classes.begin(), classes.end(), classes.back());
    first.push_back(static_cast<std::size_t>(found - classes.begin()));
  }
  return first;
}

Family family_of(const Catalogue& catalogue, const Liv& liv) {
  const auto& liv_class = catalogue.at(liv.liv_class);
  const auto token_mixing = liv.segments[position(OperatorGene::token_mixing)];
  if (token_mixing == 0) return liv_class.family;
  auto op = liv_class.op;
  op.token_mixing = static_cast<TokenMixing>(token_mixing);
  return family_of(op);
}

}  // namespace starling::genome
