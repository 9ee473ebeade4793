// y = C ⊙ (K * (B ⊙ v)), K implicit (Hyena; Poli et al. 2023, arXiv 2302.10866, section 3.3:
// h_t = Window(t) · FFN(PositionalEncoding(t))). For lag t < M, M the sequence length the model is made for, or where there is
// one the band, τ = t / M:
//   z = [τ, cos 2πτ, …, cos 8πτ, sin 2πτ, …, sin 8πτ],
//   h₁ = sin(W₁ z + b₁), h₂ = sin(W₂ h₁ + b₂), h₃ = sin(W₃ h₂ + b₃) ∈ R⁶⁴,  K_t = (W₄ h₃) ⊙ exp(−α τ),
// the decay α evenly spaced over the channels from ln(100) / 1.5 to ln(100) / 0.3; K_t = 0 for t ≥ M. The paper's
// frequency of the sines, 10, is in the first values of W and b instead of in the formula, so that a step of AdamW turns no
// phase by much. Block-diagonal: of the tokens in the same block. State: the last M values of B ⊙ v, or those of the block, and
// the convolutions' last taps − 1 inputs.
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

class ImplicitConvolution final : public Operator {
 public:
  explicit ImplicitConvolution(const Config& config)
      : b_(static_cast<std::size_t>(config.group("B"))),
        c_(static_cast<std::size_t>(config.group("C"))),
        v_(static_cast<std::size_t>(config.group("v"))),
        width_(config.width),
        sight_(sight_of(config)),
        lags_(sight_.limit() > 0 ? sight_.limit() : config.length) {
    if (sight_.block == 0) sight_.window = lags_;
    for (const auto group : {b_, c_, v_}) projected_.declare(config, group, bank_);
    filter_slot_ = bank_.size();
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
    projected_.declare_taps(config, bank_);
    own_.push_back(output_projection(width_, width_));
  }

  std::vector<StateSpec> state(GroupMask computes) const override {
    std::vector<StateSpec> specs = {{.name = "gated", .shape = {width_}, .per_token = true, .limit = lags_}};
    projected_.declare_tails(computes, specs);
    return specs;
  }

  at::Tensor forward(const Call& call) const override {
    const auto* const history = call.state ? call.state->tensors.data() : nullptr;
    projected_.compute(call, call.x, history ? history + 1 : nullptr);
    const auto& b = call.features[b_];
    const auto& c = call.features[c_];
    const auto& v = call.features[v_];
    const auto length = call.x.size(1);
    const auto block = sight_.block;
    if (!call.state) {
      if (block == 0) return gated_long_conv(b, c, v, padded_filter(call.bank, length));
      const auto kernel = padded_filter(call.bank, std::min(length, block));
      const auto y = gated_long_conv(blocks_of(b, block), blocks_of(c, block), blocks_of(v, block), kernel);
      return joined_blocks(y, call.x.size(0), length);
    }
    auto& derived = call.state->derived;
    if (derived.empty()) derived.push_back(filter(call.bank, history->size(1)).contiguous());
    const auto position = call.state->position;
    const auto gated = at::mul(b, v);
    const auto continued = [&](std::int64_t first, std::int64_t count) {
      const auto inputs = continue_history(*history, position + first, gated.narrow(1, first, count), sight_);
      return last_of_long_conv(inputs, padded(derived[0], inputs.size(1)), count);
    };
    return at::mul(c, block == 0 ? continued(0, length) : in_blocks(position, length, block, continued));
  }

 private:
  /// The filter's first `lags` values (lags, width).
  at::Tensor filter(const Tensors& bank, std::int64_t lags) const {
    const auto options = bank[filter_slot_].options().requires_grad(false);
    const auto time = (at::arange(lags, options) / static_cast<double>(lags_)).unsqueeze(1);
    const auto angles = time * (at::arange(1, bands + 1, options) * (2 * std::numbers::pi));
    auto hidden = at::cat({time, at::cos(angles), at::sin(angles)}, 1);
    std::size_t slot = filter_slot_;
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

  std::size_t b_, c_, v_;
  std::int64_t width_;
  Sight sight_;
  std::int64_t lags_;
  std::size_t filter_slot_ = 0;  ///< of the first layer
  ProjectedGroups projected_;
};

}  // namespace

std::unique_ptr<Operator> implicit_convolution(const Config& config) {
  if (config.differential || config.token_mixing != TokenMixing::toeplitz || config.nonlinearity != Nonlinearity::none ||
      config.channel_mixing != ChannelMixing::diagonal || !has_groups(config, {"B", "C", "v", "K"}) || config.length < 1) {
    return nullptr;
  }
  for (const auto& group : config.groups) {
    if (group.channels != config.width || group.repeat != 1) return nullptr;
    if (group.name != "K" && !is_projected(config, group)) return nullptr;
  }
  if (config.groups[static_cast<std::size_t>(config.group("K"))].parametrisation != Parametrisation::implicit) return nullptr;
  return std::make_unique<ImplicitConvolution>(config);
}

}  // namespace starling::operators
