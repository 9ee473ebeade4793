#include <starling/model/model.hpp>

#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/ops/add.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <c10/core/GradMode.h>

#include <stdexcept>
#include <utility>

#include <starling/base/error.hpp>
#include <starling/genome/plan.hpp>
#include <starling/model/composition.hpp>
#include <starling/model/generation.hpp>
#include <starling/model/readout.hpp>
#include <starling/model/series_ends.hpp>
#include <starling/model/translate.hpp>
#include <starling/operators/compile.hpp>
#include <starling/operators/functions/cross_entropy.hpp>
#include <starling/operators/functions/dropout.hpp>
#include <starling/operators/functions/linear.hpp>
#include <starling/operators/functions/recomputation.hpp>
#include <starling/operators/functions/rms_norm.hpp>
#include <starling/operators/functions/working_copies.hpp>
#include <starling/operators/initialise.hpp>
#include <starling/operators/operator.hpp>

namespace starling::model {
namespace {

using operators::Fill;
using operators::Tensors;
using operators::TensorSpec;

constexpr double embedding_sigma = 0.02;

/// The weights that a residual branch computes with.
struct Handles {
  Tensors bank;  ///< of the bank owner
  Tensors own;
  Composition composition;
  at::Tensor norm;
};

/// Calls f on every tensor of them, in one order.
template <class Weights, class F>
void each_tensor(Weights& weights, F&& f) {
  for (auto& tensor : weights.bank) f(tensor);
  for (auto& tensor : weights.own) f(tensor);
  Composition::each_tensor(weights.composition, f);
  f(weights.norm);
}

/// One residual branch.
struct Block {
  std::unique_ptr<const operators::Operator> op;
  std::size_t bank_owner = 0;
  std::size_t feature_owner = 0;
  operators::GroupMask reads = 0;
  operators::GroupMask computes = 0;
  std::size_t groups = 0;
  std::size_t features = 0;  ///< groups and exports
  bool is_read = false;      ///< a later LIV reads features of this one
  std::size_t path_size = 1;
  Handles weights;

  /// Of the features of its owner.
  bool reads_entry(std::size_t entry) const { return entry >= groups || operators::contains(reads, entry); }

  /// The same weights with stand-ins for the matrices.
  Handles rounded(const at::Tensor& copies) const {
    Handles result = weights;
    Tensors matrices;
    std::vector<at::Tensor*> targets;
    const auto take = [&](at::Tensor& tensor) {
      if (!tensor.defined()) return;
      matrices.push_back(tensor);
      targets.push_back(&tensor);
    };
    for (std::size_t slot = 0; slot < result.bank.size(); ++slot) {
      if (op->bank()[slot].matrix) take(result.bank[slot]);
    }
    for (std::size_t slot = 0; slot < result.own.size(); ++slot) {
      if (op->own()[slot].matrix) take(result.own[slot]);
    }
    take(result.composition.route_weight);
    auto stand_ins = operators::working_copies(matrices, copies);
    for (std::size_t i = 0; i < targets.size(); ++i) *targets[i] = std::move(stand_ins[i]);
    return result;
  }
};

/// Declares every weight in order, then makes all of them slices of one allocation, so that projections declared side
/// by side are one matrix.
class Weights {
 public:
  void declare(std::string name, TensorSpec spec, at::Tensor* target) {
    const bool matrix = spec.matrix;
    declare(std::move(name), std::move(spec), target, {.decays = matrix, .is_rounded = matrix});
  }
  /// Weights that are no projections between activations, and yet are treated as some of them are.
  struct Treatment {
    bool decays = false;
    bool is_rounded = false;  ///< has a copy in bfloat16
  };
  void declare(std::string name, TensorSpec spec, at::Tensor* target, Treatment treatment) {
    entries_.push_back({std::move(name), std::move(spec), target, treatment});
  }

  /// `copies` is made as large, of the rounded values, where dtype is bfloat16. Values are drawn on the CPU, whatever the device.
  std::vector<operators::Parameter> allocate(at::ScalarType dtype, const at::Device& device, std::uint64_t seed, operators::Rule rule,
                                             std::size_t depth, at::Tensor& copies) {
    std::int64_t elements = 0;
    for (const auto& entry : entries_) elements += entry.spec.elements();
    // Below view tracking the slices are leaves of their own, each with its own version.
    const at::AutoDispatchBelowADInplaceOrView below;
    const bool rounds = dtype == at::kBFloat16;
    const auto drawn = at::empty({elements}, at::TensorOptions().dtype(rounds ? at::kFloat : dtype));
    std::int64_t offset = 0;
    for (std::size_t i = 0; i < entries_.size(); ++i) {
      const auto& spec = entries_[i].spec;
      Stream stream(seed, Purpose::initialisation, i);
      operators::initialise(drawn.narrow(0, offset, spec.elements()), spec, rule, depth, stream);
      offset += spec.elements();
    }
    const auto storage = drawn.to(device);
    if (rounds) copies = at::empty({elements}, storage.options().dtype(dtype));
    std::vector<operators::Parameter> parameters;
    offset = 0;
    for (auto& [name, spec, target, treatment] : entries_) {
      *target = storage.narrow(0, offset, spec.elements()).view(spec.shape);
      target->requires_grad_(true);
      parameters.push_back({.name = std::move(name), .value = *target, .matrix = spec.matrix, .decay = treatment.decays});
      if (rounds && treatment.is_rounded) parameters.back().copy = copies.narrow(0, offset, spec.elements()).view(spec.shape);
      offset += spec.elements();
    }
    if (rounds) copies.copy_(storage);
    return parameters;
  }

 private:
  struct Entry {
    std::string name;
    TensorSpec spec;
    at::Tensor* target;
    Treatment treatment;
  };
  std::vector<Entry> entries_;
};

}  // namespace

struct Model::Parts {
  std::vector<Block> blocks;
  at::Tensor embedding;  // of tokens; else the ends of a series are defined
  SeriesEnds ends;
  at::Tensor norm;
  Readout readout;
  at::Tensor copies;  // of all weights in bfloat16, or undefined
  std::vector<operators::Parameter> parameters;

  // Weights as the working type has them.
  Tensors rounded(const Tensors& matrices) const { return copies.defined() ? operators::working_copies(matrices, copies) : matrices; }
  // The embedding as the output projection.
  at::Tensor projection() const { return rounded({embedding})[0]; }

  /// What logits are made of: `hidden` of whole sequences, decoded where a decoder reads them.
  at::Tensor output(const at::Tensor& inputs, const Pass& pass = {}) const {
    const auto last = hidden(inputs, nullptr, pass);
    if (!readout.up.defined()) return last;
    const auto decoder = rounded({readout.up, readout.down});
    return Readout{decoder[0], decoder[1]}.decode(last);
  }

  /// Logits, or the next values of a series.
  at::Tensor predictions(const at::Tensor& inputs, const Pass& pass = {}) const {
    const auto last = output(inputs, pass);
    return ends.defined() ? ends.leave(last, inputs) : operators::project(last, {projection()})[0];
  }

  // Tokens (batch, length) or values (batch, length, channels) → normalised (batch, length, width); continues `state` where there is one.
  at::Tensor hidden(const at::Tensor& inputs, Generation* state, const Pass& pass = {}) const {
    const bool rounds = copies.defined() && !state;
    std::vector<Handles> rounded;
    if (rounds) {
      for (const auto& block : blocks) rounded.push_back(block.rounded(copies));
    }
    auto x = ends.defined() ? ends.enter(inputs) : at::embedding(embedding, inputs.to(embedding.device()));
    if (pass.dropout > 0) x = operators::dropout(x, noise(pass, 0));
    const bool recomputes = pass.recompute && c10::GradMode::is_enabled();
    std::vector<Tensors> features(blocks.size());
    for (std::size_t first = 0; first < blocks.size(); first += blocks[first].path_size) {
      std::vector<const Handles*> weights;
      for (std::size_t i = first; i < first + blocks[first].path_size; ++i) weights.push_back(rounds ? &rounded[i] : &blocks[i].weights);
      x = recomputes ? recomputed_group(first, x, weights, features, pass) : group(first, x, weights, features, state, pass);
    }
    return operators::rms_norm_to(ends.defined() ? norm.scalar_type() : working_type(state), x, norm);
  }

  at::ScalarType working_type(const Generation* state) const { return copies.defined() && !state ? at::kBFloat16 : norm.scalar_type(); }

  // Where dropout acts: 0 is the embedding, i + 1 what LIV i adds.
  static operators::Dropout noise(const Pass& pass, std::size_t place) {
    return {pass.dropout, pass.dropout_seed, static_cast<std::uint32_t>(place), pass.first_sequence};
  }

  // The residual stream behind the path group that begins at LIV `first` (or behind that LIV alone); reads and leaves features.
  at::Tensor group(std::size_t first, at::Tensor x, const std::vector<const Handles*>& handles, std::vector<Tensors>& features,
                   Generation* state, const Pass& pass) const {
    const auto type = working_type(state);
    std::vector<const Composition*> members;
    Tensors normalised;
    for (const auto* const weights : handles) {
      members.push_back(&weights->composition);
      normalised.push_back(operators::rms_norm_to(type, x, weights->norm));
    }
    const auto weights = contribution_weights(members, normalised, state ? &state->gates[first] : nullptr);
    for (std::size_t k = 0; k < members.size(); ++k) {
      const auto& op = *blocks[first + k].op;
      auto mixed = mix(first + k, *handles[k], normalised[k], features, state);
      if (weights[k].defined()) mixed = at::mul(mixed, weights[k]).to(type);
      if (pass.dropout > 0) {
        x = at::add(x, operators::dropout(op.output(at::zeros_like(x), mixed, handles[k]->own), noise(pass, first + k + 1)));
      } else {
        x = op.output(x, mixed, handles[k]->own);
      }
    }
    return x;
  }

  // The same, computed again in the backward pass. Inputs: x, the features that it reads from LIVs before it, its weights. Outputs: x, the
  // features that LIVs behind it read.
  at::Tensor recomputed_group(std::size_t first, const at::Tensor& x, const std::vector<const Handles*>& handles,
                              std::vector<Tensors>& features, const Pass& pass) const {
    Tensors inputs{x};
    each_feature_read(first, features, [&](const at::Tensor& tensor) { inputs.push_back(tensor); });
    for (const auto* const weights : handles) each_tensor(*weights, [&](const at::Tensor& tensor) { inputs.push_back(tensor); });
    const auto again = [this, first, pass](const Tensors& given) {
      std::size_t next = 0;
      const auto take = [&](at::Tensor& tensor) { tensor = given[next++]; };
      at::Tensor stream;
      take(stream);
      std::vector<Tensors> local(blocks.size());
      each_feature_read(first, local, take);
      std::vector<Handles> own;
      for (std::size_t i = first; i < first + blocks[first].path_size; ++i) each_tensor(own.emplace_back(blocks[i].weights), take);
      std::vector<const Handles*> members;
      for (const auto& weights : own) members.push_back(&weights);
      Tensors outputs{group(first, stream, members, local, nullptr, pass)};
      each_feature_left(first, local, [&](const at::Tensor& tensor) { outputs.push_back(tensor); });
      return outputs;
    };
    const auto outputs = operators::recomputed(again, inputs);
    std::size_t next = 1;
    each_feature_left(first, features, [&](at::Tensor& tensor) { tensor = outputs[next++]; });
    return outputs[0];
  }

  // Calls f on the features that the path group reads from LIVs before it.
  template <class F>
  void each_feature_read(std::size_t first, std::vector<Tensors>& features, F&& f) const {
    for (std::size_t i = first; i < first + blocks[first].path_size; ++i) {
      const auto& block = blocks[i];
      if (block.reads == 0 || block.feature_owner >= first) continue;
      features[block.feature_owner].resize(block.features);
      for (std::size_t entry = 0; entry < block.features; ++entry) {
        if (block.reads_entry(entry)) f(features[block.feature_owner][entry]);
      }
    }
  }

  // Calls f on those that it leaves for others.
  template <class F>
  void each_feature_left(std::size_t first, std::vector<Tensors>& features, F&& f) const {
    for (std::size_t i = first; i < first + blocks[first].path_size; ++i) {
      if (!blocks[i].is_read) continue;
      features[i].resize(blocks[i].features);
      for (auto& tensor : features[i]) f(tensor);
    }
  }

  // What LIV i makes of its normalised input, before its output projection; reads and leaves features.
  at::Tensor mix(std::size_t i, const Handles& weights, const at::Tensor& normalised, std::vector<Tensors>& features,
                 Generation* state) const {
    const auto& block = blocks[i];
    Tensors local(block.features);
    for (std::size_t entry = 0; block.reads != 0 && entry < block.features; ++entry) {
      if (block.reads_entry(entry)) local[entry] = features[block.feature_owner][entry];
    }
    auto mixed = block.op->forward({.x = normalised,
                                    .bank = weights.bank,
                                    .own = weights.own,
                                    .computes = block.computes,
                                    .features = local,
                                    .state = state ? &state->livs[i] : nullptr});
    if (block.is_read) features[i] = std::move(local);
    return mixed;
  }
};

Model::Model(const genome::Catalogue& catalogue, const genome::Genome& genome, const genome::Dimensions& dimensions, std::uint64_t seed,
             Initialization initialization, at::ScalarType dtype, const at::Device& device)
    : parts_(std::make_unique<Parts>()) {
  const auto plan = genome::make_plan(catalogue, genome);
  auto& blocks = parts_->blocks;
  blocks.resize(plan.livs.size());
  Weights weights;
  const auto [width, channels] = std::pair(dimensions.width, dimensions.channels);
  auto& ends = parts_->ends;
  if (channels > 0) {
    weights.declare("input.weight", input_weight_spec(channels, width), &ends.input_weight, {.decays = true});
    weights.declare("input.bias", input_bias_spec(channels, width), &ends.input_bias);
  } else {
    weights.declare("embedding",
                    {.name = "embedding", .shape = {dimensions.vocabulary, width}, .fill = Fill::normal, .scale = embedding_sigma},
                    &parts_->embedding, {.decays = true, .is_rounded = true});
  }
  const TensorSpec norm{.name = "norm", .shape = {dimensions.width}, .fill = Fill::one};

  for (std::size_t i = 0; i < blocks.size(); ++i) {
    const auto& liv = plan.livs[i];
    auto& block = blocks[i];
    block.op = operators::compile(translate(*liv.liv_class, *liv.featurizer, dimensions, static_cast<std::int64_t>(i) + 1));
    const auto& op = block.op;
    block.bank_owner = liv.weight_owner;
    block.feature_owner = liv.feature_owner;
    block.reads = liv.reads;
    block.computes = liv.computes;
    block.path_size = liv.path_size;
    block.groups = liv.featurizer->groups.size();
    block.features = block.groups + op->exports();
    if (block.reads != 0) blocks[block.feature_owner].is_read = true;

    const auto prefix = "livs." + std::to_string(i) + ".";
    weights.declare(prefix + "norm", norm, &block.weights.norm);
    block.weights.bank.resize(op->bank().size());
    for (std::size_t slot = 0; slot < op->bank().size(); ++slot) {
      const auto& spec = op->bank()[slot];
      if (operators::contains(liv.bank, static_cast<std::size_t>(spec.group))) {
        weights.declare(prefix + "bank." + spec.name, spec, &block.weights.bank[slot]);
      }
    }
    block.weights.own.resize(op->own().size());
    for (std::size_t slot = 0; slot < op->own().size(); ++slot) {
      weights.declare(prefix + op->own()[slot].name, op->own()[slot], &block.weights.own[slot]);
    }
  }
  weights.declare("norm", norm, &parts_->norm);
  if (channels > 0) {
    weights.declare("output.weight", output_weight_spec(channels, width, embedding_sigma), &ends.output_weight, {.decays = true});
  }
  // What composes LIVs comes last: single numbers in between would let matrices begin at odd addresses.
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    for (const auto& [spec, target] : declare_composition(plan.livs[i], plan.livs[i].path_first == i, dimensions.width)) {
      weights.declare("livs." + std::to_string(i) + "." + spec.name, spec, &(blocks[i].weights.composition.*target));
    }
  }

  if (dimensions.reconstructs) {
    const TensorSpec square{.name = "decoder", .shape = {dimensions.width, dimensions.width}, .matrix = true};
    weights.declare("decoder.up", square, &parts_->readout.up);
    weights.declare("decoder.down", square, &parts_->readout.down);
  }
  if (channels > 0) {
    weights.declare("output.bias", output_bias_spec(channels), &ends.output_bias);
    weights.declare("output.skip", output_skip_spec(channels), &ends.output_skip);
  }

  const auto rule = initialization == Initialization::glorot ? operators::Rule::glorot : operators::Rule::he;
  parts_->parameters = weights.allocate(dtype, device, seed, rule, blocks.size(), parts_->copies);
  for (auto& block : blocks) block.weights.bank = blocks[block.bank_owner].weights.bank;
}

Model::~Model() = default;
Model::Model(Model&&) noexcept = default;

const std::vector<operators::Parameter>& Model::parameters() const { return parts_->parameters; }

at::Device Model::device() const { return parts_->norm.device(); }

at::Tensor Model::logits(const at::Tensor& inputs) const { return parts_->predictions(inputs); }

at::Tensor Model::loss(const at::Tensor& inputs, const at::Tensor& targets, const Pass& pass) const {
  if (parts_->ends.defined()) return mean_squared_error(parts_->predictions(inputs, pass), targets, pass.counted);
  return operators::cross_entropy(parts_->output(inputs, pass), parts_->projection(), targets, pass.counted);
}

Model::Score Model::score(const at::Tensor& inputs, const at::Tensor& targets) const {
  const c10::NoGradGuard no_gradient;
  Score result;
  if (parts_->ends.defined()) {
    const auto errors = squared_errors(logits(inputs), targets);
    result.sum = errors.sum;
    result.counted = errors.count;
    return result;
  }
  result.predictions = at::empty(targets.sizes(), targets.options().device(device()));
  const auto sums = operators::score(parts_->output(inputs), parts_->projection(), targets, result.predictions);
  result.sum = sums.loss;
  result.counted = sums.count;
  return result;
}

std::unique_ptr<Generation> Model::begin(std::int64_t batch, std::int64_t capacity) const {
  if (parts_->readout.up.defined()) throw UserError("generation: this model gives back the tokens it was shown, it has no next token");
  auto state = std::make_unique<Generation>();
  state->batch = batch;
  state->capacity = capacity;
  for (const auto& block : parts_->blocks) {
    auto& liv = state->livs.emplace_back();
    for (const auto& spec : block.op->state(block.computes)) {
      std::vector<std::int64_t> shape{batch};
      if (spec.per_token) shape.push_back(spec.entries(capacity));
      shape.insert(shape.end(), spec.shape.begin(), spec.shape.end());
      liv.tensors.push_back(at::zeros(shape, parts_->norm.options().requires_grad(false)));
    }
    auto& gate = state->gates.emplace_back();
    if (block.weights.composition.is_routed()) gate = at::zeros({batch, 1}, parts_->norm.options().requires_grad(false));
  }
  return state;
}

at::Tensor Model::extend(const at::Tensor& inputs, Generation& state) const {
  const auto& ends = parts_->ends;
  const bool fits = ends.defined() ? inputs.dim() == 3 && inputs.size(2) == ends.input_weight.size(1) : inputs.dim() == 2;
  if (!fits || inputs.size(0) != state.batch || inputs.size(1) < 1) {
    throw std::invalid_argument(
        "generation: inputs must be (batch, length ≥ 1), of a series (batch, length ≥ 1, channels), with the batch of their state");
  }
  const auto count = inputs.size(1);
  if (state.position + count > state.capacity) {
    throw std::length_error("generation: the state holds " + std::to_string(state.capacity) + " tokens, " +
                            std::to_string(state.position + count) + " are needed");
  }
  const c10::NoGradGuard no_gradient;
  for (auto& liv : state.livs) liv.position = state.position;
  const auto last = parts_->hidden(inputs, &state).select(1, count - 1);
  state.position += count;
  return ends.defined() ? ends.leave(last, inputs.select(1, count - 1)) : at::matmul(last, parts_->embedding.t());
}

at::Tensor Model::step(const at::Tensor& inputs, Generation& state) const { return extend(inputs.unsqueeze(1), state); }

std::int64_t Generation::elements_per_sequence() const {
  std::int64_t elements = 0;
  for (const auto& liv : livs) {
    for (const auto& tensor : liv.tensors) elements += tensor.numel();
  }
  for (const auto& gate : gates) elements += gate.defined() ? gate.numel() : 0;
  return batch > 0 ? elements / batch : 0;
}

}  // namespace starling::model
