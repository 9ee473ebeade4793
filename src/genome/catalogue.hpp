// The class catalogue: LIV classes as data (operator genome + featurizer genome). Adding a class is adding a row.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace starling::genome {

enum class TokenMixing { diagonal = 1, low_rank = 2, toeplitz = 3, semi_separable = 4 };
enum class Sparsity { none = 1, banded = 2, block_diagonal = 3 };
enum class Nonlinearity { none = 1, softmax = 2, relu = 3, silu = 4, gelu = 5 };
enum class ChannelMixing { diagonal = 1, dense = 2, grouped = 3, monarch = 4 };

/// Five integers that say how T_ij is made of the feature groups.
struct OperatorGenome {
  int featurizer = 0;
  TokenMixing token_mixing{};
  Sparsity sparsity{};
  Nonlinearity nonlinearity{};
  ChannelMixing channel_mixing{};

  bool operator==(const OperatorGenome&) const = default;
};

/// Group channels as a share of the model width ("×2/3"), or a number of channels per token that does not depend on the
/// width ("16 per token").
struct Expansion {
  int numerator = 1;
  int denominator = 1;
  bool per_token = false;

  bool operator==(const Expansion&) const = default;
};

/// Where the values of a feature group come from.
enum class Parametrisation {
  input,      ///< a projection of the input
  direct,     ///< learned, the same whatever the input
  selective,  ///< learned A = −exp(A_log), discretised by a low-rank function Δ of the input (S6)
  decay,      ///< σ of a projection of the input and a bias: decays in (0, 1)
  implicit,   ///< a kernel as long as the sequence: a sine network of the lag times an exponential decay (Hyena)
  liquid      ///< learned A whose decays the input bends: Ā + (1 − |Ā|) b tanh(u) (liquid S4)
};

/// One feature group of a featurizer: how the features that modulate T come from the input.
struct FeatureGroup {
  std::string name;  ///< q, k, v, B, C, A, K, z, gate, value; B2, C2, … are those of T₂ in a differential class
  Parametrisation parametrisation = Parametrisation::input;
  TokenMixing token_mixing = TokenMixing::diagonal;
  int kernel = 0;  ///< where token_mixing is toeplitz: taps of the depthwise causal convolution, or of K itself
  Sparsity sparsity = Sparsity::none;
  Nonlinearity nonlinearity = Nonlinearity::none;
  ChannelMixing channel_mixing = ChannelMixing::dense;
  Expansion expansion{};
  int repeat = 1;

  bool operator==(const FeatureGroup&) const = default;
};

struct Featurizer {
  int id = 0;
  std::vector<FeatureGroup> groups;

  bool operator==(const Featurizer&) const = default;
};

/// What a class's sharing strategies mean depends on its family.
enum class Family { attention, recurrence, gated_convolution, memoryless };

/// A set of feature groups of one featurizer; bit i is its i-th group.
using GroupMask = std::uint32_t;

/// The family follows from the operator's token mixing.
Family family_of(const OperatorGenome& op);

/// Feature-group-sharing strategies above this exist in no family.
inline constexpr int max_feature_strategies = 4;

struct LivClass {
  int id = 0;
  std::string name;  ///< "SA-1"
  OperatorGenome op;
  std::string definition;  ///< one line of mathematics for `starling classes`
  Family family{};         ///< set by the catalogue: family_of(op)
  /// T = T₁ − λ T₂ (Ye et al. 2024, arXiv 2410.05258). Softmax splits each head of q and k in two; the other classes have
  /// the groups that modulate T (all but v and z) twice, the second time with a 2 behind their names.
  bool differential = false;

  bool operator==(const LivClass&) const = default;
};

/// The feature groups that a reader takes from its group's first member, by feature-group-sharing strategy.
struct FeatureSharing {
  int strategies = 1;
  std::array<GroupMask, max_feature_strategies + 1> groups{};

  bool operator==(const FeatureSharing&) const = default;
};

/// A class and what follows from its integers.
struct ClassDefinition {
  LivClass liv_class;
  Featurizer featurizer;  ///< of a differential class with the groups of T₂ behind those of T₁
  FeatureSharing sharing;

  bool operator==(const ClassDefinition&) const = default;
};

/// `featurizer` has the groups of one map; the genomes are legal (legality.hpp). Sets the family.
ClassDefinition define(LivClass liv_class, Featurizer featurizer);

/// Strategies that a family has.
int feature_strategies(Family family);

/// Elements of the vectors λ is made of: λ = exp(λ_q1 · λ_k1) − exp(λ_q2 · λ_k2) + λ₀, each in R¹⁶.
inline constexpr int lambda_elements = 4 * 16;

class Catalogue {
 public:
  /// The default catalogue.
  static const Catalogue& liquid();
  /// The 17 classes of the paper (Thomas et al. 2024, arXiv 2411.17800) under its ids. They are classes of `liquid` under the
  /// paper's names: SA-2 is what is SA-5 there.
  static const Catalogue& star();
  /// By name ("liquid", "star"); throws UserError with the nearest name.
  static const Catalogue& named(std::string_view name);
  static std::vector<std::string> names();

  /// Throws UserError where ids or names repeat, also of featurizers, a class names a featurizer that is not there, or its genomes are not
  /// legal (legality.hpp).
  Catalogue(std::string name, std::vector<LivClass> classes, std::vector<Featurizer> featurizers);

  /// This catalogue and further rows, under the same name; throws as the constructor does.
  Catalogue extended(const std::vector<LivClass>& classes, const std::vector<Featurizer>& featurizers) const;

  const std::string& name() const { return name_; }
  const std::vector<LivClass>& classes() const { return classes_; }
  bool contains(int id) const;
  /// Throws UserError where there is no such class; the message names those there are.
  const LivClass& at(int id) const;
  const LivClass& at(std::string_view name) const;
  /// The featurizers that rows name, those of differential classes not doubled.
  const std::vector<Featurizer>& featurizers() const { return defined_; }
  /// The featurizer a class of this catalogue has: of a differential class with the groups of T₂ behind those of T₁.
  const Featurizer& featurizer_of(const LivClass& liv_class) const;

  /// The first class whose integers, feature groups and maps are the same: itself, but for rows that a user adds twice.
  int first_alike(int id) const;

  /// How many feature-group-sharing strategies the class has (4 in attention, 2 in memoryless).
  int feature_strategies(int id) const;
  /// The feature groups a reader with this strategy takes from its group's first member.
  GroupMask shared_groups(int id, int strategy) const;

 private:
  const FeatureSharing& sharing(int id) const;
  bool is_alike(std::size_t row, std::size_t other) const;

  std::string name_;
  std::vector<LivClass> classes_;
  std::vector<Featurizer> defined_;
  std::vector<Featurizer> featurizers_;  ///< by row
  std::vector<int> row_of_id_;           ///< -1 where there is no such class
  std::vector<FeatureSharing> sharing_;  ///< by row
  std::vector<int> first_alike_;         ///< by row, an id
};

/// "1 SA-1, 3 SA-3, …": the rows of a catalogue, for messages.
std::string list_of_classes(const Catalogue& catalogue);

/// "1/4", "16 per token", "2".
std::string to_text(const Expansion& expansion);
/// "input", "direct", …, in the order of the enumerators.
inline constexpr std::array parametrisation_names{"input", "direct", "selective", "decay", "implicit", "liquid"};
constexpr const char* name_of(Parametrisation made) { return parametrisation_names[static_cast<std::size_t>(made)]; }

/// Index of the named group in a featurizer, or -1.
int group_index(const Featurizer& featurizer, std::string_view name);

/// Channels of a feature group at a width: width × expansion (where that is no whole number the nearest multiple of 8),
/// or the number per token.
std::int64_t group_channels(const FeatureGroup& group, std::int64_t width);

/// Number of attention heads at a width: 4 · max(1, ⌊width / 256⌋). Throws UserError where width / heads is no multiple
/// of 4.
int heads_at(std::int64_t width);

/// Inner width of the gated memoryless classes: 8 · width / 3 rounded to the nearest multiple of 8.
std::int64_t memoryless_inner(std::int64_t width);

}  // namespace starling::genome
