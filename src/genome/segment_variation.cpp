#include <starling/genome/segment_variation.hpp>

#include <algorithm>
#include <array>
#include <cassert>
#include <optional>
#include <string_view>

#include <starling/genome/legality.hpp>
#include <starling/genome/segments.hpp>

namespace starling::genome {
namespace {

constexpr std::array operator_order = {OperatorGene::token_mixing, OperatorGene::featurizer, OperatorGene::sparsity,
                                       OperatorGene::nonlinearity, OperatorGene::channel_mixing};
constexpr std::array group_order = {GroupGene::expansion, GroupGene::repeat,       GroupGene::token_mixing,
                                    GroupGene::sparsity,  GroupGene::nonlinearity, GroupGene::channel_mixing};

/// Place 0, 1, … in the order of decisions: the position in Segments.
std::size_t position_at(std::size_t place) {
  if (place < operator_genes) return position(operator_order[place]);
  const auto behind = place - operator_genes;
  return position(behind / group_genes, group_order[behind % group_genes]);
}

/// How many there are: behind the operator those of the groups that its featurizer has.
std::size_t places(const Catalogue& catalogue, const Segments& all) {
  const auto* const featurizer = find_featurizer(catalogue, all[position(OperatorGene::featurizer)]);
  return operator_genes + (featurizer == nullptr ? 0 : featurizer->groups.size() * group_genes);
}

/// Groups whose expansions and repeats a featurizer's first of them decides.
bool is_coupled(TokenMixing mixing, const FeatureGroup& group) {
  switch (mixing) {
    case TokenMixing::diagonal:
      return true;
    case TokenMixing::low_rank:
      return group.name == "k" || group.name == "v";
    case TokenMixing::toeplitz:
      return false;
    case TokenMixing::semi_separable:
      return group.name == "B" || group.name == "C" || group.parametrisation == Parametrisation::decay;
  }
  return false;
}

}  // namespace

/// All integers of a LIV while they are decided.
struct SegmentVariation::Draft {
  bool differential;
  Segments all;

  std::int16_t& at(std::size_t place) { return all[position_at(place)]; }
  std::int16_t at(std::size_t place) const { return all[position_at(place)]; }
};

bool SegmentVariation::varies(std::size_t place) const { return place < operator_genes ? space_.operators : space_.featurizers; }

bool SegmentVariation::is_legal(const Draft& draft) const {
  return objection(*space_.catalogue, draft.differential, draft.all).empty() &&
         objection_at(*space_.catalogue, draft.all, space_.width).empty();
}

void SegmentVariation::begin_groups(Draft& draft) const {
  const auto* const featurizer = find_featurizer(*space_.catalogue, draft.all[position(OperatorGene::featurizer)]);
  assert(featurizer != nullptr);
  const auto own = integers_of(*space_.catalogue, *featurizer);
  std::copy(own.begin() + operator_genes, own.end(), draft.all.begin() + operator_genes);
}

/// The least demanding values of places from `free` on, behind an operator that is decided: groups that are plain dense projections of the
/// input, in sizes that fit those before.
void SegmentVariation::complete_groups(Draft& draft, std::size_t free) const {
  const auto& catalogue = *space_.catalogue;
  const auto& featurizer = *find_featurizer(catalogue, draft.all[position(OperatorGene::featurizer)]);
  const auto mixing = static_cast<TokenMixing>(draft.all[position(OperatorGene::token_mixing)]);
  const auto own = integers_of(catalogue, featurizer);
  const FeatureGroup plain;
  const auto dense = integers_of(catalogue, Featurizer{0, {plain}});
  std::optional<std::size_t> leader;
  for (std::size_t i = 0; i < featurizer.groups.size(); ++i) {
    const auto& group = featurizer.groups[i];
    const bool is_projected = group.parametrisation == Parametrisation::input;
    const auto begin = operator_genes + i * group_genes;
    for (auto place = std::max(begin, free); place < begin + group_genes; ++place) {
      const auto gene = group_order[place - begin];
      const bool is_size = gene == GroupGene::expansion || gene == GroupGene::repeat;
      // Heads serve each other in attention alone: there one that serves itself fits everywhere.
      const bool as_defined = is_size ? mixing != TokenMixing::low_rank : !is_projected;
      draft.at(place) = as_defined ? own[position_at(place)] : dense[position(0, gene)];
    }
    const auto expansion = position(i, GroupGene::expansion), repeat = position(i, GroupGene::repeat);
    if (!is_coupled(mixing, group)) continue;
    if (leader && free <= begin) {
      draft.all[expansion] = draft.all[position(*leader, GroupGene::expansion)];
      draft.all[repeat] = draft.all[position(*leader, GroupGene::repeat)];
      // n states per token are n decays per channel.
      const bool is_decay = group.parametrisation == Parametrisation::decay;
      const bool after_decay = featurizer.groups[*leader].parametrisation == Parametrisation::decay;
      if (is_decay != after_decay) {
        auto as_well = expansion_of(catalogue, draft.all[expansion]);
        if (as_well) as_well->per_token = !is_decay;
        draft.all[expansion] = as_well ? expansion_code(catalogue, *as_well) : std::int16_t{0};
      }
    } else if (mixing == TokenMixing::low_rank && free == begin + 1) {
      const auto chosen = expansion_of(catalogue, draft.all[expansion]);
      draft.all[repeat] = static_cast<std::int16_t>(chosen ? chosen->denominator : 1);
    }
    if (!leader) leader = i;
  }
}

bool SegmentVariation::can_be_completed(Draft draft, std::size_t free) const {
  if (free < operator_genes) {
    for (const auto value : candidates(draft, free)) {
      draft.at(free) = value;
      if (can_be_completed(draft, free + 1)) return true;
    }
    return false;
  }
  const auto* const featurizer = find_featurizer(*space_.catalogue, draft.all[position(OperatorGene::featurizer)]);
  if (featurizer == nullptr) return false;
  if (!space_.featurizers || free == operator_genes) begin_groups(draft);
  if (space_.featurizers) complete_groups(draft, free);
  return is_legal(draft);
}

/// What may be drawn there at all.
std::vector<std::int16_t> SegmentVariation::candidates(const Draft& draft, std::size_t place) const {
  if (place < operator_genes) {
    switch (operator_order[place]) {
      case OperatorGene::featurizer: {
        std::vector<std::int16_t> ids;
        const auto mixing = static_cast<TokenMixing>(draft.all[position(OperatorGene::token_mixing)]);
        for (const auto& featurizer : space_.catalogue->featurizers()) {
          if (has_groups_of(mixing, featurizer.groups)) ids.push_back(static_cast<std::int16_t>(featurizer.id));
        }
        return ids;
      }
      case OperatorGene::token_mixing:
      case OperatorGene::channel_mixing:
        return {1, 2, 3, 4};
      case OperatorGene::sparsity:
        return {1, 2, 3};
      case OperatorGene::nonlinearity:
        return {1, 2, 3, 4, 5};
    }
  }
  switch (group_order[(place - operator_genes) % group_genes]) {
    case GroupGene::token_mixing:
      return {1, 3, 32, 33, 34, 38};
    case GroupGene::sparsity:
      return {1, 2, 3};
    case GroupGene::nonlinearity:
      return {1, 2, 3, 4, 5};
    case GroupGene::channel_mixing:
      return {1, 2, 3, 4};
    case GroupGene::expansion:
      return expansion_codes(*space_.catalogue);
    case GroupGene::repeat:
      return {1, 2, 4, 8, 16};
  }
  return {};
}

/// Those of the candidates that are legal behind what was decided before.
std::vector<std::int16_t> SegmentVariation::values(const Draft& draft, std::size_t place) const {
  auto legal = candidates(draft, place);
  std::erase_if(legal, [&](std::int16_t value) {
    auto trial = draft;
    trial.at(place) = value;
    return !can_be_completed(trial, place + 1);
  });
  return legal;
}

void SegmentVariation::mutate(Liv& liv, double probability, Stream& stream) const {
  const auto& catalogue = *space_.catalogue;
  Draft draft{catalogue.at(liv.liv_class).differential, all_integers(catalogue, liv)};
  for (std::size_t place = 0; place < places(catalogue, draft.all); ++place) {
    if (!varies(place) || !stream.chance(probability)) continue;
    auto others = values(draft, place);
    std::erase(others, draft.at(place));
    if (others.empty()) continue;
    draft.at(place) = others[stream.below(others.size())];
    if (position_at(place) == position(OperatorGene::featurizer)) begin_groups(draft);
  }
  set_integers(catalogue, liv, draft.all);
}

/// Where the operator does not vary it is that of a row; where featurizers do not, groups are those of one.
bool SegmentVariation::is_in_space(const Liv& liv) const {
  if (space_.operators && space_.featurizers) return true;
  const auto& catalogue = *space_.catalogue;
  const auto all = all_integers(catalogue, liv);
  if (!space_.operators) {
    const auto& classes = catalogue.classes();
    const auto* const own = find_featurizer(catalogue, all[position(OperatorGene::featurizer)]);
    const bool differential = catalogue.at(liv.liv_class).differential;
    return own != nullptr && std::any_of(classes.begin(), classes.end(), [&](const LivClass& row) {
             auto of_row = integers_of(catalogue, row);
             of_row[position(OperatorGene::featurizer)] = all[position(OperatorGene::featurizer)];
             return row.differential == differential && std::equal(all.begin(), all.begin() + operator_genes, of_row.begin()) &&
                    is_alike(*own, *find_featurizer(catalogue, row.op.featurizer));
           });
  }
  return std::all_of(liv.segments.begin() + operator_genes, liv.segments.end(), [](std::int16_t gene) { return gene == 0; });
}

void SegmentVariation::repair(Liv& liv, Stream& stream, Repairs& repairs) const {
  const auto& catalogue = *space_.catalogue;
  if (!has_segments(liv)) return;
  if (is_empty(liv)) {
    liv.segments = {};
    return;
  }
  if (!is_on() || !is_in_space(liv)) {
    if (space_.operators) {
      std::fill(liv.segments.begin() + operator_genes, liv.segments.end(), std::int16_t{0});
    } else {
      liv.segments = {};
    }
    ++repairs.illegal_integer;
  }
  Draft draft{catalogue.at(liv.liv_class).differential, all_integers(catalogue, liv)};
  const auto drop_groups = [&] {  // that the featurizer does not have
    std::fill(draft.all.begin() + static_cast<std::ptrdiff_t>(places(catalogue, draft.all)), draft.all.end(), std::int16_t{0});
  };
  drop_groups();
  const bool legal_already = is_legal(draft);
  for (std::size_t place = 0; !legal_already && place < places(catalogue, draft.all); ++place) {
    if (!varies(place) || can_be_completed(draft, place + 1)) continue;
    const auto legal = values(draft, place);
    assert(!legal.empty() && "the order of places leaves each a legal value");
    draft.at(place) = legal[stream.below(legal.size())];
    ++(place < operator_genes ? repairs.illegal_operator : repairs.illegal_featurizer);
    if (position_at(place) == position(OperatorGene::featurizer)) begin_groups(draft);
  }
  set_integers(catalogue, liv, draft.all);
}

}  // namespace starling::genome
