// y = C ⊙ (K * (B ⊙ v)), B, C, v dense projections of x, K implicit (Hyena; Poli et al. 2023, arXiv 2302.10866, section 3.3:
// h_t = Window(t) · FFN(PositionalEncoding(t))). For lag t < M, M the sequence length the model is made for, τ = t / M:
//   z = [τ, cos 2πτ, …, cos 8πτ, sin 2πτ, …, sin 8πτ],
//   h₁ = sin(W₁ z + b₁), h₂ = sin(W₂ h₁ + b₂), h₃ = sin(W₃ h₂ + b₃) ∈ R⁶⁴,  K_t = (W₄ h₃) ⊙ exp(−α τ),
// the decay α evenly spaced over the channels from ln(100) / 1.5 to ln(100) / 0.3; K_t = 0 for t ≥ M. The paper's
// frequency of the sines, 10, is in the first values of W and b instead of in the formula, so that a step of AdamW turns no
// phase by much. State: the last M values of B ⊙ v.
#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/cos.h>
#include <ATen/ops/exp.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/linspace.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/sin.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include <starling/operators/functions/long_convolution.hpp>
#include <starling/operators/livs/livs.hpp>
#include <starling/operators/livs/projections.hpp>

namespace starling::operators {
namespace {

constexpr std::int64_t bands = 4;
constexpr std::int64_t encoding = 1 + 2 * bands;
constexpr std::int64_t filter_width = 64;
constexpr std::int64_t sine_layers = 3;
constexpr double frequency = 10;
constexpr double log_of_100 = 4.605170185988091368;
constexpr double slow = log_of_100 / 1.5;
constexpr double fast = log_of_100 / 0.3;

enum Slot : std::size_t { b_slot, c_slot, v_slot, filter_slot };

class ImplicitConvolution final : public Operator {
 public:
  explicit ImplicitConvolution(const Config& config)
      : b_(static_cast<std::size_t>(config.group("B"))),
        c_(static_cast<std::size_t>(config.group("C"))),
        v_(static_cast<std::size_t>(config.group("v"))),
        width_(config.width),
        lags_(config.length) {
    for (const auto group : {b_, c_, v_}) bank_.push_back(projection_of(config, group, width_));
    const auto weight = [&](std::string name, std::vector<std::int64_t> shape, double scale) {
      bank_.push_back({.name = "K." + name, .shape = std::move(shape), .fill = Fill::uniform, .scale = scale, .group = config.group("K")});
    };
    std::int64_t inputs = encoding;
    for (std::int64_t layer = 1; layer <= sine_layers; ++layer) {
      const double scale = frequency / std::sqrt(static_cast<double>(inputs));
      weight(std::to_string(layer), {filter_width, inputs}, scale);
      weight(std::to_string(layer) + ".bias", {filter_width}, scale);
      inputs = filter_width;
    }
    // Σ_t K_t² is about 1 whatever the length.
    weight("out", {width_, filter_width}, 1.0 / std::sqrt(static_cast<double>(lags_)));
    own_.push_back(output_projection(width_, width_));
  }

  std::vector<StateSpec> state(GroupMask) const override {
    return {{.name = "gated", .shape = {width_}, .per_token = true, .limit = lags_}};
  }

  at::Tensor forward(const Call& call) const override {
    project_groups(call, call.x, {{b_, b_slot}, {c_, c_slot}, {v_, v_slot}});
    const auto& features = call.features;
    if (!call.state) return gated_long_conv(features[b_], features[c_], features[v_], padded_filter(call.bank, call.x.size(1)));
    auto& derived = call.state->derived;
    const auto& history = call.state->tensors[0];
    if (derived.empty()) derived.push_back(filter(call.bank, history.size(1)).contiguous());
    const auto count = call.x.size(1);
    const auto inputs = continued(history, call.state->position, at::mul(features[b_], features[v_]));
    return at::mul(features[c_], last_of_long_conv(inputs, padded(derived[0], inputs.size(1)), count));
  }

 private:
  /// The filter's first `lags` values (lags, width).
  at::Tensor filter(const Tensors& bank, std::int64_t lags) const {
    const auto options = bank[filter_slot].options().requires_grad(false);
    const auto time = (at::arange(lags, options) / static_cast<double>(lags_)).unsqueeze(1);
    const auto angles = time * (at::arange(1, bands + 1, options) * (2 * std::numbers::pi));
    auto hidden = at::cat({time, at::cos(angles), at::sin(angles)}, 1);
    std::size_t slot = filter_slot;
    for (std::int64_t layer = 0; layer < sine_layers; ++layer, slot += 2) hidden = at::sin(at::linear(hidden, bank[slot], bank[slot + 1]));
    const auto window = at::exp(-time * at::linspace(slow, fast, width_, options));
    return at::linear(hidden, bank[slot]) * window;
  }

  static at::Tensor padded(const at::Tensor& kernel, std::int64_t length) {
    if (kernel.size(0) == length) return kernel;
    if (kernel.size(0) > length) return kernel.narrow(0, 0, length);
    return at::constant_pad_nd(kernel, {0, 0, 0, length - kernel.size(0)});
  }
  at::Tensor padded_filter(const Tensors& bank, std::int64_t length) const { return padded(filter(bank, std::min(length, lags_)), length); }

  /// Adds the new inputs to the history, from which the oldest fall out; what the new outputs see, oldest first.
  static at::Tensor continued(const at::Tensor& history, std::int64_t position, const at::Tensor& entries) {
    const auto room = history.size(1);
    const auto count = entries.size(1);
    if (position + count <= room) {
      history.narrow(1, position, count).copy_(entries);
      return history.narrow(1, 0, position + count);
    }
    const auto all = at::cat({history.narrow(1, 0, std::min(position, room)), entries}, 1);
    history.copy_(all.narrow(1, all.size(1) - room, room));
    const auto seen = std::min(all.size(1), room - 1 + count);
    return all.narrow(1, all.size(1) - seen, seen);
  }

  std::size_t b_, c_, v_;
  std::int64_t width_, lags_;
};

}  // namespace

std::unique_ptr<Operator> implicit_convolution(const Config& config) {
  if (config.differential || config.token_mixing != TokenMixing::toeplitz || config.sparsity != Sparsity::none ||
      config.nonlinearity != Nonlinearity::none || config.channel_mixing != ChannelMixing::diagonal ||
      !has_groups(config, {"B", "C", "v", "K"}) || config.length < 1) {
    return nullptr;
  }
  for (const auto& group : config.groups) {
    if (group.channels != config.width || group.repeat != 1) return nullptr;
    if (group.name != "K" && !is_plain_projection(group)) return nullptr;
  }
  if (config.groups[static_cast<std::size_t>(config.group("K"))].parametrisation != Parametrisation::implicit) return nullptr;
  return std::make_unique<ImplicitConvolution>(config);
}

}  // namespace starling::operators
