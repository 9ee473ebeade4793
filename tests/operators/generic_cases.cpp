#include "class_cases.hpp"

namespace starling::operators {
namespace {

using Strategies = std::vector<std::vector<std::string>>;

const Strategies keys_values = {{"k", "v"}, {"k"}, {"v"}};
const Strategies modulators = {{"B", "C"}, {"B"}, {"C"}};

constexpr std::int64_t heads = 4;
constexpr std::int64_t band = 3;  // shorter than the sequences of the tests, and no divisor of their length

/// A group in a form of its own: a short convolution where there are taps.
GroupConfig made(std::string name, std::int64_t channels, ChannelMixing mixing, int taps = 0,
                 Nonlinearity nonlinearity = Nonlinearity::none) {
  return {.name = std::move(name),
          .channels = channels,
          .token_mixing = taps > 0 ? TokenMixing::toeplitz : TokenMixing::diagonal,
          .taps = taps,
          .nonlinearity = nonlinearity,
          .channel_mixing = mixing};
}

ClassCase low_rank(std::string name, std::int64_t width, Sparsity sparsity, Nonlinearity nonlinearity) {
  return {{.name = std::move(name),
           .token_mixing = TokenMixing::low_rank,
           .sparsity = sparsity,
           .nonlinearity = nonlinearity,
           .channel_mixing = ChannelMixing::grouped,
           .width = width,
           .band = band,
           .heads = heads,
           .blocks = heads,
           .groups = {{.name = "q", .channels = width}, {.name = "k", .channels = width}, {.name = "v", .channels = width}}},
          keys_values,
          true};
}

ClassCase one_head(ClassCase base) {
  base.config.name += "-Dense";
  base.config.channel_mixing = ChannelMixing::dense;
  base.config.heads = 1;
  return base;
}

ClassCase repeated(ClassCase base, int keys, int values) {
  base.config.name += "-Repeat";
  const int repeats[] = {1, keys, values};
  for (std::size_t group = 0; group < 3; ++group) {
    base.config.groups[group].channels = base.config.width / repeats[group];
    base.config.groups[group].repeat = repeats[group];
  }
  return base;
}

/// Keeps the names, channels and repeats of the groups and makes each in another way.
ClassCase remade(ClassCase base) {
  constexpr ChannelMixing mixings[] = {ChannelMixing::diagonal, ChannelMixing::grouped, ChannelMixing::monarch, ChannelMixing::dense};
  constexpr int taps[] = {0, 2, 3, 0};
  constexpr Nonlinearity nonlinearities[] = {Nonlinearity::silu, Nonlinearity::gelu, Nonlinearity::silu, Nonlinearity::relu,
                                             Nonlinearity::none};
  base.config.name += "-Remade";
  for (std::size_t i = 0; i < base.config.groups.size(); ++i) {
    auto& group = base.config.groups[i];
    if (group.name == "A" || group.parametrisation != Parametrisation::input) continue;
    auto mixing = mixings[i % 4];
    const bool has_all_channels = group.channels == base.config.width;
    if (mixing == ChannelMixing::diagonal && !has_all_channels) mixing = ChannelMixing::dense;
    if (mixing == ChannelMixing::grouped && group.channels % base.config.blocks != 0) mixing = ChannelMixing::dense;
    const auto repeat = group.repeat;
    group = made(group.name, group.channels, mixing, taps[i % 4], nonlinearities[i % 5]);
    group.repeat = repeat;
  }
  return base;
}

ClassCase toeplitz(std::string name, std::int64_t width, Sparsity sparsity, bool implicit, int taps = 3) {
  ClassCase result{{.name = std::move(name),
                    .token_mixing = TokenMixing::toeplitz,
                    .sparsity = sparsity,
                    .channel_mixing = ChannelMixing::diagonal,
                    .width = width,
                    .length = 5,
                    .band = band,
                    .blocks = heads,
                    .groups = {{.name = "B", .channels = width}, {.name = "C", .channels = width}, {.name = "v", .channels = width}}},
                   modulators,
                   true};
  result.config.groups.push_back({.name = "K",
                                  .channels = width,
                                  .parametrisation = implicit ? Parametrisation::implicit : Parametrisation::direct,
                                  .token_mixing = TokenMixing::toeplitz,
                                  .taps = implicit ? 0 : taps,
                                  .channel_mixing = ChannelMixing::diagonal});
  return result;
}

ClassCase recurrence(std::string name, std::int64_t width, std::int64_t states, bool selective) {
  ClassCase result{{.name = std::move(name),
                    .token_mixing = TokenMixing::semi_separable,
                    .channel_mixing = ChannelMixing::diagonal,
                    .width = width,
                    .blocks = heads,
                    .groups = {{.name = "B", .channels = states},
                               {.name = "C", .channels = states},
                               {.name = "A",
                                .channels = selective ? width : states * width,
                                .parametrisation = selective ? Parametrisation::selective : Parametrisation::decay},
                               {.name = "v", .channels = width}}},
                   modulators,
                   true};
  if (selective) result.config.groups.push_back({.name = "z", .channels = width});
  return result;
}

ClassCase state_space(std::string name, std::int64_t width, bool liquid) {
  auto result = recurrence(std::move(name), width, width, true);
  result.config.channel_mixing = ChannelMixing::monarch;
  for (const auto group : {0u, 1u, 2u}) {
    result.config.groups[group].parametrisation = Parametrisation::direct;
    result.config.groups[group].channel_mixing = ChannelMixing::diagonal;
  }
  if (liquid) result.config.groups[2].parametrisation = Parametrisation::liquid;
  return result;
}

}  // namespace

std::vector<ClassCase> generic_cases(std::int64_t width) {
  using enum Nonlinearity;
  const auto banded = [&](std::string name, Nonlinearity f) { return low_rank(std::move(name), width, Sparsity::banded, f); };
  const auto in_blocks = [&](std::string name, Nonlinearity f) { return low_rank(std::move(name), width, Sparsity::block_diagonal, f); };
  const auto over_all = [&](std::string name, Nonlinearity f) { return low_rank(std::move(name), width, Sparsity::none, f); };
  ClassCase bilinear{{.name = "Bilinear",
                      .token_mixing = TokenMixing::diagonal,
                      .channel_mixing = ChannelMixing::dense,
                      .width = width,
                      .blocks = heads,
                      .groups = {{.name = "gate", .channels = width}, {.name = "value", .channels = width}}},
                     {{"gate"}},
                     true};
  return {over_all("ReLU-Attention", relu),
          over_all("SiLU-Attention", silu),
          over_all("GELU-Attention", gelu),
          banded("Window", softmax),
          banded("Window-Linear", none),
          banded("Window-ReLU", relu),
          banded("Window-SiLU", silu),
          in_blocks("Blocks", softmax),
          in_blocks("Blocks-Linear", none),
          in_blocks("Blocks-GELU", gelu),
          one_head(over_all("SA-1", softmax)),
          one_head(over_all("SA-2", none)),
          one_head(in_blocks("Blocks-SiLU", silu)),
          repeated(over_all("SA-2", none), 2, 2),
          repeated(over_all("SiLU-Attention", silu), 2, 4),
          repeated(banded("Window", softmax), 4, 1),
          remade(over_all("SA-1", softmax)),
          remade(repeated(over_all("SA-2", none), 4, 4)),
          remade(in_blocks("Blocks", softmax)),
          remade(banded("Window-Linear", none)),
          toeplitz("Window-Convolution", width, Sparsity::banded, false, 5),
          toeplitz("Blocks-Convolution", width, Sparsity::block_diagonal, false),
          toeplitz("Window-Implicit", width, Sparsity::banded, true),
          toeplitz("Blocks-Implicit", width, Sparsity::block_diagonal, true),
          remade(toeplitz("Convolution", width, Sparsity::none, false, 8)),
          remade(toeplitz("Blocks-Implicit", width, Sparsity::block_diagonal, true)),
          remade(recurrence("Selective", width, 4, true)),
          recurrence("Selective-Plain", width, 3, true),
          remade(recurrence("Gated", width, 4, false)),
          remade(state_space("State-Space", width, true)),
          bilinear,
          remade(bilinear),
          differential_of(banded("Window", softmax)),
          differential_of(one_head(in_blocks("Blocks", softmax))),
          differential_of(remade(over_all("SiLU-Attention", silu))),
          differential_of(in_blocks("Blocks-Linear", none)),
          differential_of(repeated(over_all("SA-2", none), 2, 2)),
          differential_of(remade(toeplitz("Blocks-Convolution", width, Sparsity::block_diagonal, false))),
          differential_of(toeplitz("Window-Implicit", width, Sparsity::banded, true)),
          differential_of(remade(recurrence("Selective", width, 4, true)))};
}

}  // namespace starling::operators
