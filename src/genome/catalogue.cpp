#include <starling/genome/catalogue.hpp>

#include <algorithm>
#include <array>
#include <cassert>
#include <initializer_list>
#include <unordered_set>
#include <utility>

#include <starling/base/error.hpp>
#include <starling/genome/legality.hpp>

namespace starling::genome {
namespace {

/// The feature groups that strategies 2, 3, … of a family read from the group's first member.
std::vector<std::vector<const char*>> groups_by_strategy(Family family) {
  switch (family) {
    case Family::attention:
      return {{"k", "v"}, {"k"}, {"v"}};
    case Family::recurrence:
    case Family::gated_convolution:
      return {{"B", "C"}, {"B"}, {"C"}};
    case Family::memoryless:
      return {{"gate"}};
  }
  return {};
}

FeatureGroup projected(std::string name, Expansion expansion = {}, int repeat = 1) {
  FeatureGroup group;
  group.name = std::move(name);
  group.expansion = expansion;
  group.repeat = repeat;
  return group;
}

FeatureGroup convolved(std::string name, int taps) {
  auto group = projected(std::move(name));
  group.token_mixing = TokenMixing::toeplitz;
  group.kernel = taps;
  return group;
}

FeatureGroup with_nonlinearity(FeatureGroup group, Nonlinearity nonlinearity) {
  group.nonlinearity = nonlinearity;
  return group;
}

FeatureGroup with_parametrisation(FeatureGroup group, Parametrisation parametrisation, ChannelMixing channel_mixing) {
  group.parametrisation = parametrisation;
  group.channel_mixing = channel_mixing;
  return group;
}

/// Weights per channel, the same at every token.
FeatureGroup learned(std::string name, Parametrisation parametrisation = Parametrisation::direct) {
  return with_parametrisation(projected(std::move(name)), parametrisation, ChannelMixing::diagonal);
}

FeatureGroup by_monarch(std::string name) {
  auto group = projected(std::move(name));
  group.channel_mixing = ChannelMixing::monarch;
  return group;
}

std::vector<Featurizer> liquid_featurizers() {
  constexpr Expansion half{1, 2, false};
  constexpr Expansion quarter{1, 4, false};
  constexpr Expansion state{16, 1, true};
  constexpr Expansion pair{2, 1, true};
  constexpr Expansion twice{2, 1, false};
  constexpr Expansion gated{8, 3, false};
  return {
      {1, {projected("q"), projected("k"), projected("v")}},
      {2, {convolved("q", 3), convolved("k", 3), convolved("v", 3)}},
      {3, {projected("q"), projected("k", quarter, 4), projected("v", quarter, 4)}},
      {4, {projected("q"), projected("k", half, 2), projected("v", half, 2)}},
      {5,
       {projected("B", state), projected("C", state),
        with_parametrisation(projected("A"), Parametrisation::selective, ChannelMixing::dense),
        with_nonlinearity(convolved("v", 4), Nonlinearity::silu), projected("z")}},
      {6,
       {projected("B", pair), projected("C", pair),
        with_parametrisation(projected("A", twice), Parametrisation::decay, ChannelMixing::dense), projected("v")}},
      {7,
       {projected("B"), projected("C"), projected("v"),
        with_parametrisation(convolved("K", 3), Parametrisation::direct, ChannelMixing::diagonal)}},
      {8,
       {projected("B"), projected("C"), projected("v"),
        with_parametrisation(convolved("K", 0), Parametrisation::implicit, ChannelMixing::diagonal)}},
      {9, {projected("gate", gated), projected("value", gated)}},
      {10, {learned("B"), learned("C"), learned("A"), projected("v"), projected("z")}},
      {11, {learned("B"), learned("C"), learned("A", Parametrisation::liquid), projected("v"), projected("z")}},
      {12, {learned("B"), learned("C"), learned("A"), by_monarch("v"), by_monarch("z")}},
  };
}

/// The name of a group's second in a differential class.
std::string second_of(const std::string& group) { return group + "2"; }

/// Value and channel mixing belong to no map.
void add_second_map(Featurizer& featurizer) {
  const auto count = featurizer.groups.size();
  for (std::size_t i = 0; i < count; ++i) {
    auto group = featurizer.groups[i];
    if (group.name == "v" || group.name == "z") continue;
    group.name = second_of(group.name);
    featurizer.groups.push_back(std::move(group));
  }
}

LivClass row(int id, std::string name, OperatorGenome op, std::string definition) {
  return {id, std::move(name), op, std::move(definition), family_of(op)};
}

/// A row for T = T₁ − λ T₂ of the class that has the same operator genome.
LivClass differential(LivClass of_one_map) {
  of_one_map.differential = true;
  return of_one_map;
}

std::vector<LivClass> liquid_classes() {
  using T = TokenMixing;
  using S = Sparsity;
  using N = Nonlinearity;
  using C = ChannelMixing;
  const std::string split_heads =
      "y = W_o ((1 − λ₀) RMSNorm((softmax(q₁ k₁ᵀ / √d_s) − λ softmax(q₂ k₂ᵀ / √d_s)) v)) per head, d_s = d_h / 2";
  return {
      row(1, "SA-1", {1, T::low_rank, S::none, N::softmax, C::grouped}, "y = W_o softmax(q kᵀ / √d_h) v per head, RoPE on q and k"),
      row(2, "SA-2", {1, T::low_rank, S::none, N::none, C::grouped},
          "y_t = W_o φ(q_t)ᵀ Σ_{s ≤ t} φ(k_s) v_sᵀ / φ(q_t)ᵀ Σ_{s ≤ t} φ(k_s) per head, φ = elu + 1"),
      row(3, "SA-3", {3, T::low_rank, S::none, N::softmax, C::grouped},
          "y = W_o softmax(q kᵀ / √d_h) v, each head of k and v serves 4 of q, RoPE on q and k"),
      row(4, "Rec-1", {5, T::semi_separable, S::none, N::none, C::diagonal},
          "h_t = exp(Δ A) h_{t−1} + Δ B v, y = W_o (SiLU(z) ⊙ (C h + D v)); v = SiLU(conv₄(W_v x)); B, C, Δ of v; A = "
          "−exp(A_log)"),
      row(5, "Rec-2", {6, T::semi_separable, S::none, N::none, C::diagonal},
          "h_t = a h_{t−1} + (1 − a) B v, two states per channel, y = W_o Σ_n C_n h_n; a = σ(W_a x + b)"),
      row(6, "GConv-1", {7, T::toeplitz, S::none, N::none, C::diagonal}, "y = W_o (C ⊙ (K * (B ⊙ v))), K of length 3 per channel"),
      row(7, "GConv-2", {8, T::toeplitz, S::none, N::none, C::diagonal},
          "y = W_o (C ⊙ (K * (B ⊙ v))), K as long as the sequence: K_t = sine network(t) ⊙ exp(−α t / L) per channel"),
      row(8, "GMemless", {9, T::diagonal, S::none, N::silu, C::dense}, "y = W_o (SiLU(gate) ⊙ value)"),
      row(9, "GMemless-2", {9, T::diagonal, S::none, N::gelu, C::dense}, "y = W_o (GELU(gate) ⊙ value), GELU(g) = g Φ(g)"),
      row(10, "GMemless-3", {9, T::diagonal, S::none, N::relu, C::dense}, "y = W_o (max(gate, 0) ⊙ value)"),
      row(11, "S4-1", {10, T::semi_separable, S::none, N::none, C::diagonal},
          "x_t = Ā x_{t−1} + B̄ v_t, 32 complex states per channel, y = W_o (SiLU(z) ⊙ (2 Re Σ C x + D v)); Ā = exp(Δ A), B̄ = B "
          "(Ā − 1) / A"),
      row(12, "S4-2", {11, T::semi_separable, S::none, N::none, C::diagonal},
          "as S4-1 with decays that the input bends: x_t = (Ā + (1 − |Ā|) b tanh(v_t)) ⊙ x_{t−1} + B̄ v_t, |b| < 1"),
      row(13, "S4-Monarch", {12, T::semi_separable, S::none, N::none, C::monarch},
          "as S4-1; W_v, W_z and W_o are Monarch matrices Pᵀ L P R, L and R block-diagonal"),
      differential(row(14, "SA-1-Diff", {1, T::low_rank, S::none, N::softmax, C::grouped}, split_heads + ", RoPE on q and k")),
      differential(row(15, "SA-2-Diff", {1, T::low_rank, S::none, N::none, C::grouped},
                       "y = W_o (y₁ − λ y₂), y_i as the normalised sum of SA-2 with q and k of its own")),
      differential(row(16, "SA-3-Diff", {3, T::low_rank, S::none, N::softmax, C::grouped},
                       split_heads + ", each head of k and v serves 4 of q, RoPE on q and k")),
      differential(row(17, "Rec-1-Diff", {5, T::semi_separable, S::none, N::none, C::diagonal},
                       "y = W_o (y₁ − λ y₂), y_i as SiLU(z) ⊙ (C h + D v) of Rec-1 with B, C, Δ and A of its own")),
      differential(row(18, "Rec-2-Diff", {6, T::semi_separable, S::none, N::none, C::diagonal},
                       "y = W_o (y₁ − λ y₂), y_i as Σ_n C_n h_n of Rec-2 with B, C and a of its own")),
      differential(row(19, "GConv-1-Diff", {7, T::toeplitz, S::none, N::none, C::diagonal},
                       "y = W_o (y₁ − λ y₂), y_i = C_i ⊙ (K_i * (B_i ⊙ v)), K_i of length 3 per channel")),
      differential(row(20, "GConv-2-Diff", {8, T::toeplitz, S::none, N::none, C::diagonal},
                       "y = W_o (y₁ − λ y₂), y_i = C_i ⊙ (K_i * (B_i ⊙ v)), K_i as long as the sequence: a sine network of its own")),
      differential(row(21, "S4-Diff", {10, T::semi_separable, S::none, N::none, C::diagonal},
                       "y = W_o (y₁ − λ y₂), y_i as SiLU(z) ⊙ (2 Re Σ C x + D v) of S4-1 with A, B and C of its own")),
      row(22, "SA-4", {4, T::low_rank, S::none, N::softmax, C::grouped},
          "y = W_o softmax(q kᵀ / √d_h) v, each head of k and v serves 2 of q, RoPE on q and k"),
      row(23, "SA-5", {2, T::low_rank, S::none, N::softmax, C::grouped},
          "y = W_o softmax(q kᵀ / √d_h) v; q = conv₃(W_q x), k and v likewise, then RoPE on q and k"),
      differential(row(24, "SA-4-Diff", {4, T::low_rank, S::none, N::softmax, C::grouped},
                       split_heads + ", each head of k and v serves 2 of q, RoPE on q and k")),
      differential(row(25, "SA-5-Diff", {2, T::low_rank, S::none, N::softmax, C::grouped},
                       split_heads + "; q = conv₃(W_q x), k and v likewise, then RoPE on q and k")),
  };
}

std::vector<LivClass> star_classes() {
  struct Row {
    const char* name;
    const char* name_in_liquid;
  };
  constexpr std::array bases = {Row{"SA-1", "SA-1"},       Row{"SA-2", "SA-5"},       Row{"SA-3", "SA-3"},
                                Row{"SA-4", "SA-4"},       Row{"Rec-1", "Rec-1"},     Row{"Rec-2", "Rec-2"},
                                Row{"GConv-1", "GConv-1"}, Row{"GConv-2", "GConv-2"}, Row{"GMemless", "GMemless"}};
  const auto& liquid = Catalogue::liquid();
  std::vector<LivClass> classes;
  for (const std::string suffix : {"", "-Diff"}) {
    for (const auto& row : bases) {
      if (classes.size() == 17) break;  // there is no differential of a memoryless class
      auto liv_class = liquid.at(row.name_in_liquid + suffix);
      liv_class.id = static_cast<int>(classes.size()) + 1;
      liv_class.name = row.name + suffix;
      classes.push_back(std::move(liv_class));
    }
  }
  return classes;
}

[[noreturn]] void refuse(const std::string& catalogue, const std::string& what) {
  throw UserError("catalogue '" + catalogue + "': " + what);
}

}  // namespace

Family family_of(const OperatorGenome& op) {
  switch (op.token_mixing) {
    case TokenMixing::diagonal:
      return Family::memoryless;
    case TokenMixing::low_rank:
      return Family::attention;
    case TokenMixing::toeplitz:
      return Family::gated_convolution;
    case TokenMixing::semi_separable:
      return Family::recurrence;
  }
  throw UserError("token mixing " + std::to_string(static_cast<int>(op.token_mixing)) + " is not in 1 … 4");
}

ClassDefinition define(LivClass liv_class, Featurizer featurizer) {
  liv_class.family = family_of(liv_class.op);
  const bool doubles = liv_class.differential && liv_class.op.nonlinearity != Nonlinearity::softmax;
  if (doubles) add_second_map(featurizer);
  FeatureSharing sharing;
  for (const auto& groups : groups_by_strategy(liv_class.family)) {
    ++sharing.strategies;
    for (const auto* group : groups) {
      const int index = group_index(featurizer, group);
      assert(index >= 0 && "legal genomes have all groups that their family shares");
      auto& mask = sharing.groups[static_cast<std::size_t>(sharing.strategies)];
      mask |= GroupMask{1} << index;
      const int second = group_index(featurizer, second_of(group));
      if (doubles && second >= 0) mask |= GroupMask{1} << second;
    }
  }
  return {std::move(liv_class), std::move(featurizer), sharing};
}

int feature_strategies(Family family) { return 1 + static_cast<int>(groups_by_strategy(family).size()); }

const Catalogue& Catalogue::liquid() {
  static const Catalogue catalogue("liquid", liquid_classes(), liquid_featurizers());
  return catalogue;
}

const Catalogue& Catalogue::star() {
  static const Catalogue catalogue("star", star_classes(), liquid_featurizers());
  return catalogue;
}

std::vector<std::string> Catalogue::names() { return {"liquid", "star"}; }

const Catalogue& Catalogue::named(std::string_view name) {
  if (name == "liquid") return liquid();
  if (name == "star") return star();
  throw UserError("there is no catalogue '" + std::string(name) + "'" + did_you_mean(name, names()) + "; there are: liquid, star");
}

Catalogue::Catalogue(std::string name, std::vector<LivClass> classes, std::vector<Featurizer> featurizers)
    : name_(std::move(name)), classes_(std::move(classes)), defined_(std::move(featurizers)) {
  if (classes_.empty()) refuse(name_, "it has no class");
  std::unordered_set<int> featurizer_ids;
  for (const auto& featurizer : defined_) {
    if (!featurizer_ids.insert(featurizer.id).second) refuse(name_, "featurizer " + std::to_string(featurizer.id) + " is there twice");
  }
  std::unordered_set<std::string> names;
  for (auto& liv_class : classes_) {
    const std::string label = "class " + std::to_string(liv_class.id) + " '" + liv_class.name + "'";
    if (liv_class.id < 1 || liv_class.id > INT16_MAX) refuse(name_, label + ": ids run from 1 to 32767");
    if (!names.insert(liv_class.name).second) refuse(name_, label + ": the name is there twice");
    const auto id = static_cast<std::size_t>(liv_class.id);
    if (id >= row_of_id_.size()) row_of_id_.resize(id + 1, -1);
    if (row_of_id_[id] >= 0) refuse(name_, label + ": the id is there twice");
    row_of_id_[id] = static_cast<int>(sharing_.size());

    const auto found = std::find_if(defined_.begin(), defined_.end(), [&](const Featurizer& f) { return f.id == liv_class.op.featurizer; });
    if (found == defined_.end()) refuse(name_, label + ": there is no featurizer " + std::to_string(liv_class.op.featurizer));
    if (const auto reason = objection(liv_class.op, found->groups, liv_class.differential); !reason.empty()) {
      refuse(name_, label + ": " + reason);
    }
    auto definition = define(std::move(liv_class), *found);
    liv_class = std::move(definition.liv_class);
    featurizers_.push_back(std::move(definition.featurizer));
    sharing_.push_back(definition.sharing);
    std::size_t alike = 0;
    while (!is_alike(alike, featurizers_.size() - 1)) ++alike;
    first_alike_.push_back(classes_[alike].id);
  }
}

bool Catalogue::is_alike(std::size_t row, std::size_t other) const {
  auto op = classes_[row].op;
  op.featurizer = classes_[other].op.featurizer;
  return op == classes_[other].op && classes_[row].differential == classes_[other].differential &&
         featurizers_[row].groups == featurizers_[other].groups;
}

Catalogue Catalogue::extended(const std::vector<LivClass>& classes, const std::vector<Featurizer>& featurizers) const {
  auto all_classes = classes_;
  all_classes.insert(all_classes.end(), classes.begin(), classes.end());
  auto all_featurizers = defined_;
  all_featurizers.insert(all_featurizers.end(), featurizers.begin(), featurizers.end());
  return {name_, std::move(all_classes), std::move(all_featurizers)};
}

bool Catalogue::contains(int id) const {
  return id >= 0 && static_cast<std::size_t>(id) < row_of_id_.size() && row_of_id_[static_cast<std::size_t>(id)] >= 0;
}

const LivClass& Catalogue::at(int id) const {
  if (!contains(id)) {
    throw UserError("class " + std::to_string(id) + " is not in the catalogue '" + name_ + "' (" + list_of_classes(*this) + ")");
  }
  return classes_[static_cast<std::size_t>(row_of_id_[static_cast<std::size_t>(id)])];
}

const LivClass& Catalogue::at(std::string_view name) const {
  std::vector<std::string> known;
  for (const auto& liv_class : classes_) {
    if (liv_class.name == name) return liv_class;
    known.push_back(liv_class.name);
  }
  throw UserError("class '" + std::string(name) + "' is not in the catalogue '" + name_ + "'" + did_you_mean(name, known) + "; there are " +
                  list_of_classes(*this));
}

const Featurizer& Catalogue::featurizer_of(const LivClass& liv_class) const {
  assert(contains(liv_class.id) && at(liv_class.id).name == liv_class.name && "the class is of another catalogue");
  return featurizers_[static_cast<std::size_t>(row_of_id_[static_cast<std::size_t>(liv_class.id)])];
}

const FeatureSharing& Catalogue::sharing(int id) const {
  assert(contains(id));
  return sharing_[static_cast<std::size_t>(row_of_id_[static_cast<std::size_t>(id)])];
}

int Catalogue::first_alike(int id) const {
  assert(contains(id));
  return first_alike_[static_cast<std::size_t>(row_of_id_[static_cast<std::size_t>(id)])];
}

int Catalogue::feature_strategies(int id) const { return sharing(id).strategies; }

GroupMask Catalogue::shared_groups(int id, int strategy) const {
  assert(strategy >= 1 && strategy <= max_feature_strategies);
  return sharing(id).groups[static_cast<std::size_t>(strategy)];
}

std::string list_of_classes(const Catalogue& catalogue) {
  std::string text;
  for (const auto& liv_class : catalogue.classes()) {
    if (!text.empty()) text += ", ";
    text += std::to_string(liv_class.id) + ' ' + liv_class.name;
  }
  return text;
}

std::string to_text(const Expansion& expansion) {
  const auto number = std::to_string(expansion.numerator);
  if (expansion.per_token) return number + " per token";
  return expansion.denominator == 1 ? number : number + '/' + std::to_string(expansion.denominator);
}

int group_index(const Featurizer& featurizer, std::string_view name) {
  const auto found =
      std::find_if(featurizer.groups.begin(), featurizer.groups.end(), [&](const FeatureGroup& group) { return group.name == name; });
  return found == featurizer.groups.end() ? -1 : static_cast<int>(found - featurizer.groups.begin());
}

std::int64_t group_channels(const FeatureGroup& group, std::int64_t width) {
  const std::int64_t numerator = group.expansion.numerator;
  if (group.expansion.per_token) return numerator;
  const std::int64_t denominator = group.expansion.denominator;
  if (width * numerator % denominator == 0) return width * numerator / denominator;
  return (width * numerator + 4 * denominator) / (8 * denominator) * 8;
}

int heads_at(std::int64_t width) {
  const std::int64_t heads = 4 * std::max<std::int64_t>(1, width / 256);
  if (width < 1 || width % (4 * heads) != 0) {
    const std::int64_t below = width / (4 * heads) * (4 * heads);
    // Where the next multiple of 256 is nearer, heads change there; it is always legal.
    const std::int64_t above = std::min(below + 4 * heads, (width / 256 + 1) * 256);
    throw UserError("width " + std::to_string(width) + " has no legal head size: its " + std::to_string(heads) +
                    " heads need a multiple of " + std::to_string(4 * heads) + " channels (" +
                    (below > 0 ? std::to_string(below) + " or " : "") + std::to_string(above) + ')');
  }
  return static_cast<int>(heads);
}

std::int64_t memoryless_inner(std::int64_t width) { return (width + 1) / 3 * 8; }

}  // namespace starling::genome
