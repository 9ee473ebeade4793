#include <starling/genome/legality.hpp>

#include <algorithm>
#include <initializer_list>
#include <span>
#include <string_view>

#include <starling/base/error.hpp>

namespace starling::genome {
namespace {

template <class E>
int number(E value) {
  return static_cast<int>(value);
}

/// "2 (low rank)": integers as messages show them.
std::string named(TokenMixing value) {
  constexpr const char* names[] = {"diagonal", "low rank", "Toeplitz", "semi-separable"};
  return std::to_string(number(value)) + " (" + names[number(value) - 1] + ')';
}
std::string named(Sparsity value) {
  constexpr const char* names[] = {"none", "banded", "block-diagonal"};
  return std::to_string(number(value)) + " (" + names[number(value) - 1] + ')';
}
std::string named(Nonlinearity value) {
  constexpr const char* names[] = {"none", "softmax", "ReLU", "SiLU", "GELU"};
  return std::to_string(number(value)) + " (" + names[number(value) - 1] + ')';
}
std::string named(ChannelMixing value) {
  constexpr const char* names[] = {"diagonal", "dense", "grouped", "Monarch"};
  return std::to_string(number(value)) + " (" + names[number(value) - 1] + ')';
}

bool is_pointwise(Nonlinearity value) { return value == Nonlinearity::relu || value == Nonlinearity::silu || value == Nonlinearity::gelu; }

bool is_whole(const FeatureGroup& group) { return !group.expansion.per_token && group.expansion.numerator == group.expansion.denominator; }

std::string joined(std::span<const std::string_view> names) {
  std::string list;
  for (const auto name : names) list.append(list.empty() ? "" : ", ").append(name);
  return list;
}

template <class E>
std::string out_of_range(const char* field, E value, E highest) {
  const bool inside = number(value) >= 1 && number(value) <= number(highest);
  return inside ? "" : std::string(field) + ' ' + std::to_string(number(value)) + " is not in 1 … " + std::to_string(number(highest));
}

/// The first sentence that is not empty.
std::string first_of(std::initializer_list<std::string> sentences) {
  const auto* const found = std::find_if(sentences.begin(), sentences.end(), [](const std::string& s) { return !s.empty(); });
  return found == sentences.end() ? "" : *found;
}

std::string operator_range(const OperatorGenome& op) {
  return first_of({out_of_range("token mixing", op.token_mixing, TokenMixing::semi_separable),
                   out_of_range("structured sparsity", op.sparsity, Sparsity::block_diagonal),
                   out_of_range("nonlinearity", op.nonlinearity, Nonlinearity::gelu),
                   out_of_range("channel mixing", op.channel_mixing, ChannelMixing::monarch)});
}

/// The operator genome by itself.
std::string operator_rules(const OperatorGenome& op) {
  if (auto range = operator_range(op); !range.empty()) return range;
  const auto mixing = op.token_mixing;
  if (op.sparsity != Sparsity::none && mixing != TokenMixing::low_rank && mixing != TokenMixing::toeplitz) {
    return "structured sparsity " + named(op.sparsity) + " needs token mixing 2 or 3, found " + named(mixing);
  }
  if (op.nonlinearity == Nonlinearity::softmax && mixing != TokenMixing::low_rank) {
    return "nonlinearity 2 (softmax) needs token mixing 2, found " + named(mixing);
  }
  if (is_pointwise(op.nonlinearity) && mixing != TokenMixing::diagonal && mixing != TokenMixing::low_rank) {
    return "nonlinearity " + named(op.nonlinearity) + " needs token mixing 1 or 2, found " + named(mixing);
  }
  switch (mixing) {
    case TokenMixing::diagonal:
      if (op.channel_mixing == ChannelMixing::dense) break;
      return "token mixing 1 (diagonal) has channel mixing 2: all channels meet in its output projection; found " +
             named(op.channel_mixing);
    case TokenMixing::low_rank:
      if (op.channel_mixing == ChannelMixing::dense || op.channel_mixing == ChannelMixing::grouped) break;
      return "token mixing 2 (low rank) has channel mixing 2 (one head) or 3 (heads), found " + named(op.channel_mixing);
    case TokenMixing::semi_separable:
      if (op.channel_mixing == ChannelMixing::monarch) break;
      [[fallthrough]];
    case TokenMixing::toeplitz:
      if (op.channel_mixing == ChannelMixing::diagonal) break;
      return "token mixing " + named(mixing) + " has channel mixing 1: every channel has its own T; found " + named(op.channel_mixing);
  }
  return "";
}

const FeatureGroup* find(const std::vector<FeatureGroup>& groups, std::string_view name) {
  const auto found = std::find_if(groups.begin(), groups.end(), [&](const FeatureGroup& group) { return group.name == name; });
  return found == groups.end() ? nullptr : &*found;
}

std::span<const std::string_view> groups_of(const OperatorGenome& op, const std::vector<FeatureGroup>& groups) {
  static constexpr std::string_view of_diagonal[] = {"gate", "value"}, of_low_rank[] = {"q", "k", "v"},
                                    of_toeplitz[] = {"B", "C", "v", "K"}, of_semi_separable[] = {"B", "C", "A", "v", "z"};
  switch (op.token_mixing) {
    case TokenMixing::diagonal:
      return of_diagonal;
    case TokenMixing::low_rank:
      return of_low_rank;
    case TokenMixing::toeplitz:
      return of_toeplitz;
    case TokenMixing::semi_separable: {
      const auto* const a = find(groups, "A");
      const bool gated = a == nullptr || a->parametrisation != Parametrisation::decay;
      return std::span(of_semi_separable).first(gated ? 5 : 4);
    }
  }
  return {};
}

/// A recurrence whose A is learned is a complex state space: B and C are learned too.
bool is_state_space(const OperatorGenome& op, const std::vector<FeatureGroup>& groups) {
  if (op.token_mixing != TokenMixing::semi_separable) return false;
  const auto made = find(groups, "A")->parametrisation;
  return made == Parametrisation::direct || made == Parametrisation::liquid;
}

/// Exactly the groups that the token mixing uses.
std::string group_names_rule(const OperatorGenome& op, const std::vector<FeatureGroup>& groups) {
  const auto wanted = groups_of(op, groups);
  const auto uses = [&] { return "token mixing " + named(op.token_mixing) + " uses the groups " + joined(wanted); };
  for (const auto name : wanted) {
    if (find(groups, name) == nullptr) return "the feature group '" + std::string(name) + "' is missing: " + uses();
  }
  for (const auto& group : groups) {
    if (std::find(wanted.begin(), wanted.end(), group.name) == wanted.end()) {
      return "the feature group '" + group.name + "' would be computed and never used: " + uses();
    }
    if (find(groups, group.name) != &group) return "the feature group '" + group.name + "' is there twice";
  }
  return "";
}

std::string expansion_rules(const OperatorGenome& op, const std::vector<FeatureGroup>& groups, const FeatureGroup& group) {
  // Searches ask far more often than they are refused: words are made where they are needed.
  const auto needs = [&](const std::string& what) {
    return what + ", found expansion " + to_text(group.expansion) + " and repeat " + std::to_string(group.repeat);
  };
  const auto& name = group.name;
  switch (op.token_mixing) {
    case TokenMixing::diagonal:
      if (group.repeat != 1) return needs("no repeat");
      if (group.expansion != groups.front().expansion) return needs("the expansion of '" + groups.front().name + "', channel by channel");
      return "";
    case TokenMixing::low_rank:
      if (group.expansion.per_token || group.expansion.numerator * group.repeat != group.expansion.denominator) {
        return needs("expansion × repeat = 1");
      }
      if (name == "q" && group.repeat != 1) return needs("no repeat: each head asks for itself");
      return "";
    case TokenMixing::toeplitz:
      return is_whole(group) && group.repeat == 1 ? "" : needs("expansion 1 and no repeat");
    case TokenMixing::semi_separable: {
      const auto& states = find(groups, "B")->expansion;
      if (group.repeat != 1) return needs("no repeat");
      if (is_state_space(op, groups)) return is_whole(group) ? "" : needs("expansion 1");
      if (name == "B" || name == "C") {
        if (!group.expansion.per_token) return needs("a number of states per token");
        return group.expansion == states ? "" : needs("as many states per token as B");
      }
      if (group.parametrisation == Parametrisation::decay) {
        const bool fits = !group.expansion.per_token && group.expansion.denominator == 1 && group.expansion.numerator == states.numerator;
        return fits ? "" : needs("expansion " + std::to_string(states.numerator) + ", a decay per channel and state of B");
      }
      return is_whole(group) ? "" : needs("expansion 1");
    }
  }
  return "";
}

/// A, B or C of a state space.
std::string learned_rules(const FeatureGroup& group) {
  const bool may_be =
      group.parametrisation == Parametrisation::direct || (group.name == "A" && group.parametrisation == Parametrisation::liquid);
  if (!may_be) return "a direct parametrisation, as A has one";
  if (group.token_mixing != TokenMixing::diagonal) return "token mixing 1 (diagonal), found " + named(group.token_mixing);
  if (group.nonlinearity != Nonlinearity::none) return "no nonlinearity, found " + named(group.nonlinearity);
  return group.channel_mixing == ChannelMixing::diagonal ? "" : "channel mixing 1 (diagonal), found " + named(group.channel_mixing);
}

/// How the values of one group are made.
std::string making_rules(const OperatorGenome& op, const std::vector<FeatureGroup>& groups, const FeatureGroup& group) {
  if (is_state_space(op, groups) && (group.name == "A" || group.name == "B" || group.name == "C")) return learned_rules(group);
  const bool is_kernel = op.token_mixing == TokenMixing::toeplitz && group.name == "K";
  const bool is_decay = op.token_mixing == TokenMixing::semi_separable && group.name == "A";
  const auto made = group.parametrisation;
  if (is_kernel) {
    if (made != Parametrisation::direct && made != Parametrisation::implicit) return "a direct or implicit parametrisation";
    if (group.token_mixing != TokenMixing::toeplitz) return "token mixing 3 (Toeplitz), found " + named(group.token_mixing);
    if (group.nonlinearity != Nonlinearity::none) return "no nonlinearity, found " + named(group.nonlinearity);
    if (group.channel_mixing != ChannelMixing::diagonal) return "channel mixing 1 (diagonal), found " + named(group.channel_mixing);
    if (made == Parametrisation::implicit) return group.kernel == 0 ? "" : "no taps: it is as long as the sequence";
    return group.kernel >= 1 && group.kernel <= max_taps
               ? ""
               : "1 … " + std::to_string(max_taps) + " taps, found " + std::to_string(group.kernel);
  }
  if (is_decay) {
    if (made != Parametrisation::selective && made != Parametrisation::decay)
      return "a selective, direct or liquid parametrisation or decays";
    if (group.token_mixing != TokenMixing::diagonal) return "token mixing 1 (diagonal), found " + named(group.token_mixing);
    if (group.nonlinearity != Nonlinearity::none) return "no nonlinearity of its own, found " + named(group.nonlinearity);
    return group.channel_mixing == ChannelMixing::dense ? "" : "channel mixing 2 (dense), found " + named(group.channel_mixing);
  }
  if (made != Parametrisation::input) return "to be a projection of the input";
  if (group.token_mixing != TokenMixing::diagonal && group.token_mixing != TokenMixing::toeplitz) {
    return "token mixing 1 or 3 (a short convolution), found " + named(group.token_mixing);
  }
  const bool is_convolved = group.token_mixing == TokenMixing::toeplitz;
  if (!is_convolved && group.kernel != 0) return "no taps where its token mixing is 1, found " + std::to_string(group.kernel);
  if (is_convolved && (group.kernel < 1 || group.kernel > max_taps)) {
    return "1 … " + std::to_string(max_taps) + " taps where its token mixing is 3, found " + std::to_string(group.kernel);
  }
  if (group.nonlinearity == Nonlinearity::softmax) return "nonlinearity 1, 3, 4 or 5, found " + named(group.nonlinearity);
  if (group.channel_mixing == ChannelMixing::diagonal && !is_whole(group)) {
    return "expansion 1 where its channel mixing is 1 (diagonal), found " + to_text(group.expansion);
  }
  return "";
}

std::string group_range(const FeatureGroup& group) {
  const auto& e = group.expansion;
  if (e.numerator < 1 || e.numerator > max_expansion || e.denominator < 1 || e.denominator > max_expansion) {
    return "expansion " + to_text(e) + ": numbers are in 1 … " + std::to_string(max_expansion);
  }
  if (group.repeat < 1 || group.repeat > max_expansion)
    return "repeat " + std::to_string(group.repeat) + " is not in 1 … " + std::to_string(max_expansion);
  return first_of({out_of_range("token mixing", group.token_mixing, TokenMixing::semi_separable),
                   out_of_range("structured sparsity", group.sparsity, Sparsity::block_diagonal),
                   out_of_range("nonlinearity", group.nonlinearity, Nonlinearity::gelu),
                   out_of_range("channel mixing", group.channel_mixing, ChannelMixing::monarch)});
}

std::string group_rules(const OperatorGenome& op, const std::vector<FeatureGroup>& groups, const FeatureGroup& group) {
  if (group.sparsity != Sparsity::none) {
    return "structured sparsity 1: a convolution is as short as its taps say; found " + named(group.sparsity);
  }
  if (auto text = making_rules(op, groups, group); !text.empty()) return text;
  return expansion_rules(op, groups, group);
}

std::string differential_rules(const OperatorGenome& op, const std::vector<FeatureGroup>& groups) {
  if (op.token_mixing == TokenMixing::diagonal) return "only a token mixer can be differential, found token mixing 1 (diagonal)";
  if (op.nonlinearity == Nonlinearity::softmax && find(groups, "k")->repeat != find(groups, "v")->repeat) {
    return "a differential softmax splits the heads of k and v alike, found repeat " + std::to_string(find(groups, "k")->repeat) +
           " of k and " + std::to_string(find(groups, "v")->repeat) + " of v";
  }
  return "";
}

}  // namespace

std::string objection(const OperatorGenome& op, const std::vector<FeatureGroup>& groups, bool differential) {
  if (auto text = operator_rules(op); !text.empty()) return text;
  for (const auto& group : groups) {
    if (auto text = group_range(group); !text.empty()) return "feature group '" + group.name + "': " + text;
  }
  if (auto text = group_names_rule(op, groups); !text.empty()) return text;
  for (const auto& group : groups) {
    if (auto text = group_rules(op, groups, group); !text.empty()) return "the feature group '" + group.name + "' needs " + text;
  }
  if (op.token_mixing == TokenMixing::low_rank && op.nonlinearity == Nonlinearity::none && op.sparsity == Sparsity::none &&
      find(groups, "k")->repeat != find(groups, "v")->repeat) {
    return "without nonlinearity and sparsity k and v repeat alike: a state is of one head of each; found repeat " +
           std::to_string(find(groups, "k")->repeat) + " of k and " + std::to_string(find(groups, "v")->repeat) + " of v";
  }
  if (op.channel_mixing == ChannelMixing::monarch && !is_state_space(op, groups)) {
    return "channel mixing 4 (Monarch) is that of the output projection of a state space: A direct or liquid";
  }
  return differential ? differential_rules(op, groups) : "";
}

bool has_groups_of(TokenMixing mixing, const std::vector<FeatureGroup>& groups) {
  OperatorGenome op;
  op.token_mixing = mixing;
  return out_of_range("token mixing", mixing, TokenMixing::semi_separable).empty() && group_names_rule(op, groups).empty();
}

std::string objection_at(std::int64_t width, const OperatorGenome& op, const std::vector<FeatureGroup>& groups) {
  const auto blocks = heads_at(width);
  const auto at_width = [width] { return " at width " + std::to_string(width); };
  const int heads = op.channel_mixing == ChannelMixing::dense ? 1 : blocks;
  for (const auto& group : groups) {
    const auto channels = group_channels(group, width);
    if (op.token_mixing == TokenMixing::low_rank && heads % group.repeat != 0) {
      return "the feature group '" + group.name + "' is repeated " + std::to_string(group.repeat) + " times, but there " +
             (heads == 1 ? "is 1 head" : "are " + std::to_string(heads) + " heads") + at_width();
    }
    if (channels < 1) return "the feature group '" + group.name + "' has no channel" + at_width();
    if (group.channel_mixing == ChannelMixing::grouped && channels % blocks != 0) {
      return "the feature group '" + group.name + "' has " + std::to_string(channels) + " channels" + at_width() + ", no multiple of the " +
             std::to_string(blocks) + " blocks of a grouped projection";
    }
  }
  return "";
}

void require_fit(const LivClass& liv_class, const Featurizer& featurizer, std::int64_t width) {
  const auto reason = objection_at(width, liv_class.op, featurizer.groups);
  if (!reason.empty()) throw UserError("class " + std::to_string(liv_class.id) + " '" + liv_class.name + "': " + reason);
}

}  // namespace starling::genome
