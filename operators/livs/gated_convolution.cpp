// y = C ⊙ (K * (B ⊙ v)), K explicit, depthwise, causal; banded: without lags of `band` tokens and more; block-diagonal: of
// the tokens in the same block of `band`. State: the last taps − 1 values of B ⊙ v, zero where a block begins, and the
// convolutions' last taps − 1 inputs.
#include <starling/operators/functions/short_conv.hpp>
#include <starling/operators/livs/livs.hpp>
#include <starling/operators/livs/projections.hpp>

#include <algorithm>
#include <cmath>

namespace starling::operators {
namespace {

class GatedConvolution final : public Operator {
 public:
  explicit GatedConvolution(const Config& config)
      : b_(static_cast<std::size_t>(config.group("B"))),
        c_(static_cast<std::size_t>(config.group("C"))),
        v_(static_cast<std::size_t>(config.group("v"))),
        width_(config.width),
        sight_(sight_of(config)),
        taps_(config.groups[static_cast<std::size_t>(config.group("K"))].taps) {
    if (sight_.limit() > 0) taps_ = std::min(taps_, sight_.limit());
    for (const auto group : {b_, c_, v_}) projected_.declare(config, group, bank_);
    kernel_slot_ = bank_.size();
    bank_.push_back({.name = "K",
                     .shape = {width_, taps_},
                     .fill = Fill::uniform,
                     .scale = 1.0 / std::sqrt(static_cast<double>(taps_)),
                     .group = config.group("K")});
    projected_.declare_taps(config, bank_);
    own_.push_back(output_projection(width_, width_));
  }

  std::vector<StateSpec> state(GroupMask computes) const override {
    std::vector<StateSpec> specs = {{.name = "gated.tail", .shape = {taps_ - 1, width_}}};
    projected_.declare_tails(computes, specs);
    return specs;
  }

  at::Tensor forward(const Call& call) const override {
    const auto* const tail = call.state ? call.state->tensors.data() : nullptr;
    projected_.compute(call, call.x, tail ? tail + 1 : nullptr);
    const auto& b = call.features[b_];
    const auto& c = call.features[c_];
    const auto& v = call.features[v_];
    const auto& taps = call.bank[kernel_slot_];
    const auto block = sight_.block;
    if (block == 0) return gated_conv(b, c, v, taps, tail);
    if (!tail) {
      const auto y = gated_conv(blocks_of(b, block), blocks_of(c, block), blocks_of(v, block), taps);
      return joined_blocks(y, call.x.size(0), call.x.size(1));
    }
    const auto position = call.state->position;
    return in_blocks(position, call.x.size(1), block, [&](std::int64_t first, std::int64_t count) {
      if ((position + first) % block == 0) tail->zero_();
      return gated_conv(b.narrow(1, first, count), c.narrow(1, first, count), v.narrow(1, first, count), taps, tail);
    });
  }

 private:
  std::size_t b_, c_, v_;
  std::int64_t width_;
  Sight sight_;
  std::int64_t taps_;
  std::size_t kernel_slot_ = 0;
  ProjectedGroups projected_;
};

}  // namespace

std::unique_ptr<Operator> gated_convolution(const Config& config) {
  if (config.differential || config.token_mixing != TokenMixing::toeplitz || config.nonlinearity != Nonlinearity::none ||
      config.channel_mixing != ChannelMixing::diagonal || !has_groups(config, {"B", "C", "v", "K"})) {
    return nullptr;
  }
  for (const auto& group : config.groups) {
    if (group.channels != config.width || group.repeat != 1) return nullptr;
    if (group.name != "K" && !is_projected(config, group)) return nullptr;
  }
  const auto& taps = config.groups[static_cast<std::size_t>(config.group("K"))];
  const bool explicit_short = taps.parametrisation == Parametrisation::direct && taps.token_mixing == TokenMixing::toeplitz &&
                              taps.taps >= 1 && taps.taps <= kernels::max_short_conv_taps;
  if (!explicit_short) return nullptr;
  return std::make_unique<GatedConvolution>(config);
}

}  // namespace starling::operators
