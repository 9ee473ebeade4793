#include "class_cases.hpp"

#include "generic_reference.hpp"

namespace starling::operators {

GroupMask ClassCase::mask(const std::vector<std::string>& groups) const {
  GroupMask mask = 0;
  for (const auto& group : groups) mask |= GroupMask{1} << config.group(group);
  return mask;
}

reference::Matrix ClassCase::reference(const reference::Matrix& x, const reference::Weights& weights, reference::Features& features) const {
  if (generic) return reference::generic(config, x, weights, features);
  return reference::mixed(config.name, x, weights, features,
                          {.heads = static_cast<std::size_t>(config.heads),
                           .position = static_cast<std::size_t>(config.position),
                           .length = static_cast<std::size_t>(config.length)});
}

namespace {

/// The differential of softmax attention splits heads: the groups are those of the base.
ClassCase split(ClassCase base) {
  base.config.name += "-Diff";
  base.config.differential = true;
  base.config.position = 3;
  return base;
}

/// The others have everything but v and z twice.
ClassCase doubled(ClassCase base) {
  auto& groups = base.config.groups;
  for (std::size_t i = 0, count = groups.size(); i < count; ++i) {
    if (groups[i].name == "v" || groups[i].name == "z") continue;
    auto second = groups[i];
    second.name += "2";
    groups.push_back(std::move(second));
  }
  for (auto& read : base.shared) {
    for (std::size_t i = 0, count = read.size(); i < count; ++i) {
      if (base.config.group(read[i] + "2") >= 0) read.push_back(read[i] + "2");
    }
  }
  return split(std::move(base));
}

}  // namespace

ClassCase differential_of(ClassCase base) {
  return base.config.nonlinearity == Nonlinearity::softmax ? split(std::move(base)) : doubled(std::move(base));
}

std::vector<ClassCase> class_cases(std::int64_t width) {
  const std::vector<std::vector<std::string>> keys_values = {{"k", "v"}, {"k"}, {"v"}};
  const std::vector<std::vector<std::string>> modulators = {{"B", "C"}, {"B"}, {"C"}};
  ClassCase attention{{.name = "SA-1",
                       .token_mixing = TokenMixing::low_rank,
                       .nonlinearity = Nonlinearity::softmax,
                       .channel_mixing = ChannelMixing::grouped,
                       .width = width,
                       .heads = 4,
                       .groups = {{.name = "q", .channels = width}, {.name = "k", .channels = width}, {.name = "v", .channels = width}}},
                      keys_values};
  auto linear = attention;
  linear.config.name = "SA-2";
  linear.config.nonlinearity = Nonlinearity::none;
  auto grouped = attention;
  grouped.config.name = "SA-3";
  for (const auto group : {1u, 2u}) {
    grouped.config.groups[group].channels = width / 4;
    grouped.config.groups[group].repeat = 4;
  }
  auto halved = attention;
  halved.config.name = "SA-4";
  for (const auto group : {1u, 2u}) {
    halved.config.groups[group].channels = width / 2;
    halved.config.groups[group].repeat = 2;
  }
  auto convolved = attention;
  convolved.config.name = "SA-5";
  for (auto& group : convolved.config.groups) {
    group.token_mixing = TokenMixing::toeplitz;
    group.taps = 3;
  }
  ClassCase recurrence{
      {.name = "Rec-1",
       .token_mixing = TokenMixing::semi_separable,
       .channel_mixing = ChannelMixing::diagonal,
       .width = width,
       .groups = {{.name = "B", .channels = 16},
                  {.name = "C", .channels = 16},
                  {.name = "A", .channels = width, .parametrisation = Parametrisation::selective},
                  {.name = "v", .channels = width, .token_mixing = TokenMixing::toeplitz, .taps = 4, .nonlinearity = Nonlinearity::silu},
                  {.name = "z", .channels = width}}},
      modulators};
  ClassCase gated{{.name = "Rec-2",
                   .token_mixing = TokenMixing::semi_separable,
                   .channel_mixing = ChannelMixing::diagonal,
                   .width = width,
                   .groups = {{.name = "B", .channels = 2},
                              {.name = "C", .channels = 2},
                              {.name = "A", .channels = 2 * width, .parametrisation = Parametrisation::decay},
                              {.name = "v", .channels = width}}},
                  modulators};
  ClassCase convolution{{.name = "GConv-1",
                         .token_mixing = TokenMixing::toeplitz,
                         .channel_mixing = ChannelMixing::diagonal,
                         .width = width,
                         .groups = {{.name = "B", .channels = width},
                                    {.name = "C", .channels = width},
                                    {.name = "v", .channels = width},
                                    {.name = "K",
                                     .channels = width,
                                     .parametrisation = Parametrisation::direct,
                                     .token_mixing = TokenMixing::toeplitz,
                                     .taps = 3,
                                     .channel_mixing = ChannelMixing::diagonal}}},
                        modulators};
  auto implicit = convolution;
  implicit.config.name = "GConv-2";
  implicit.config.length = 5;  // shorter than the sequences of the tests
  implicit.config.groups[3].parametrisation = Parametrisation::implicit;
  implicit.config.groups[3].taps = 0;
  ClassCase memoryless{{.name = "GMemless",
                        .token_mixing = TokenMixing::diagonal,
                        .nonlinearity = Nonlinearity::silu,
                        .channel_mixing = ChannelMixing::dense,
                        .width = width,
                        .groups = {{.name = "gate", .channels = 3 * width / 2}, {.name = "value", .channels = 3 * width / 2}}},
                       {{"gate"}}};
  auto gelu = memoryless;
  gelu.config.name = "GMemless-2";
  gelu.config.nonlinearity = Nonlinearity::gelu;
  auto relu = memoryless;
  relu.config.name = "GMemless-3";
  relu.config.nonlinearity = Nonlinearity::relu;
  const auto learned = [&](const char* name) {
    return GroupConfig{
        .name = name, .channels = width, .parametrisation = Parametrisation::direct, .channel_mixing = ChannelMixing::diagonal};
  };
  ClassCase state_space{
      {.name = "S4-1",
       .token_mixing = TokenMixing::semi_separable,
       .channel_mixing = ChannelMixing::diagonal,
       .width = width,
       .groups = {learned("B"), learned("C"), learned("A"), {.name = "v", .channels = width}, {.name = "z", .channels = width}}},
      modulators};
  auto liquid = state_space;
  liquid.config.name = "S4-2";
  liquid.config.groups[2].parametrisation = Parametrisation::liquid;
  auto monarch = state_space;
  monarch.config.name = "S4-Monarch";
  monarch.config.channel_mixing = ChannelMixing::monarch;
  for (const auto group : {3u, 4u}) monarch.config.groups[group].channel_mixing = ChannelMixing::monarch;
  auto of_s4 = doubled(state_space);
  of_s4.config.name = "S4-Diff";
  std::vector<ClassCase> cases = {attention,
                                  linear,
                                  grouped,
                                  halved,
                                  convolved,
                                  recurrence,
                                  gated,
                                  convolution,
                                  implicit,
                                  memoryless,
                                  gelu,
                                  relu,
                                  state_space,
                                  liquid,
                                  monarch,
                                  split(attention),
                                  split(grouped),
                                  split(halved),
                                  split(convolved),
                                  doubled(linear),
                                  doubled(recurrence),
                                  doubled(gated),
                                  doubled(convolution),
                                  doubled(implicit),
                                  of_s4};
  auto generic = generic_cases(width);
  cases.insert(cases.end(), generic.begin(), generic.end());
  return cases;
}

}  // namespace starling::operators
