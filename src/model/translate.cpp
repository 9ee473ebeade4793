#include <starling/model/translate.hpp>

#include <starling/genome/legality.hpp>

namespace starling::model {
namespace {

// The genome is a tower of its own, so its enumerations are not those of the operators; their numbers are.
static_assert(static_cast<int>(genome::TokenMixing::semi_separable) == static_cast<int>(operators::TokenMixing::semi_separable));
static_assert(static_cast<int>(genome::Sparsity::block_diagonal) == static_cast<int>(operators::Sparsity::block_diagonal));
static_assert(static_cast<int>(genome::Nonlinearity::gelu) == static_cast<int>(operators::Nonlinearity::gelu));
static_assert(static_cast<int>(genome::ChannelMixing::monarch) == static_cast<int>(operators::ChannelMixing::monarch));
static_assert(static_cast<int>(genome::Parametrisation::liquid) == static_cast<int>(operators::Parametrisation::liquid));

template <class To, class From>
To same_number(From value) {
  return static_cast<To>(static_cast<int>(value));
}

}  // namespace

operators::Config translate(const genome::LivClass& liv_class, const genome::Featurizer& featurizer, const genome::Dimensions& dimensions,
                            std::int64_t position) {
  const auto width = dimensions.width;
  genome::require_fit(liv_class, featurizer, width);
  operators::Config config;
  config.name = liv_class.name;
  config.token_mixing = same_number<operators::TokenMixing>(liv_class.op.token_mixing);
  config.sparsity = same_number<operators::Sparsity>(liv_class.op.sparsity);
  config.nonlinearity = same_number<operators::Nonlinearity>(liv_class.op.nonlinearity);
  config.channel_mixing = same_number<operators::ChannelMixing>(liv_class.op.channel_mixing);
  config.differential = liv_class.differential;
  config.position = position;
  config.width = width;
  config.length = dimensions.length;
  config.band = dimensions.band;
  config.blocks = genome::heads_at(width);
  const bool one_head = config.token_mixing == operators::TokenMixing::low_rank && config.channel_mixing == operators::ChannelMixing::dense;
  config.heads = one_head ? 1 : config.blocks;
  for (const auto& group : featurizer.groups) {
    config.groups.push_back({.name = group.name,
                             .channels = genome::group_channels(group, width),
                             .repeat = group.repeat,
                             .parametrisation = same_number<operators::Parametrisation>(group.parametrisation),
                             .token_mixing = same_number<operators::TokenMixing>(group.token_mixing),
                             .taps = group.kernel,
                             .sparsity = same_number<operators::Sparsity>(group.sparsity),
                             .nonlinearity = same_number<operators::Nonlinearity>(group.nonlinearity),
                             .channel_mixing = same_number<operators::ChannelMixing>(group.channel_mixing)});
  }
  return config;
}

}  // namespace starling::model
