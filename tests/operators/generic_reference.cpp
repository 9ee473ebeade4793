// Any legal class from its integers alone: the features group by group, T_ij as an explicit sum, the sparsity as a mask.
#include <cmath>
#include <stdexcept>
#include <utility>

#include "generic_reference.hpp"

namespace starling::reference {
namespace {

using operators::ChannelMixing;
using operators::Config;
using operators::GroupConfig;
using operators::Nonlinearity;
using operators::Parametrisation;
using operators::Sparsity;
using operators::TokenMixing;

double act(Nonlinearity nonlinearity, double x) {
  switch (nonlinearity) {
    case Nonlinearity::relu:
      return x > 0 ? x : 0;
    case Nonlinearity::silu:
      return x / (1.0 + std::exp(-x));
    case Nonlinearity::gelu:
      return 0.5 * x * std::erfc(-x / std::sqrt(2.0));
    default:
      return x;
  }
}

class Generic {
 public:
  Generic(const Config& config, const Matrix& x, const Weights& weights, Features& features)
      : config_(config), x_(x), weights_(weights), features_(features) {}

  Matrix mixed() {
    switch (config_.token_mixing) {
      case TokenMixing::diagonal:
        return memoryless();
      case TokenMixing::low_rank:
        return attention();
      case TokenMixing::toeplitz:
        return convolution();
      case TokenMixing::semi_separable:
        return recurrence();
    }
    throw std::invalid_argument("token mixing");
  }

 private:
  const GroupConfig& named(const char* name) const { return config_.groups[static_cast<std::size_t>(config_.group(name))]; }

  bool sees(std::size_t i, std::size_t j) const {
    const auto band = static_cast<std::size_t>(config_.band);
    if (config_.sparsity == Sparsity::banded) return i - j < band;
    return config_.sparsity == Sparsity::none || i / band == j / band;
  }

  Matrix made(const char* name, const Matrix& input) const {
    const auto& group = named(name);
    const auto channels = static_cast<std::size_t>(group.channels);
    Matrix y(input.rows, channels);
    const bool monarch = group.channel_mixing == ChannelMixing::monarch;
    if (monarch) y = through(input, weights_, name);
    const auto& weight = monarch ? y : weights_.at(name);
    const auto blocks = static_cast<std::size_t>(config_.blocks);
    const auto outputs = channels / blocks;
    const auto inputs = input.columns / blocks;
    for (std::size_t t = 0; t < input.rows && !monarch; ++t) {
      for (std::size_t c = 0; c < channels; ++c) {
        if (group.channel_mixing == ChannelMixing::diagonal) y(t, c) = weight.values[c] * input(t, c);
        for (std::size_t i = 0; i < input.columns; ++i) {
          if (group.channel_mixing == ChannelMixing::dense) y(t, c) += weight(c, i) * input(t, i);
          const bool in_block = group.channel_mixing == ChannelMixing::grouped && i / inputs == c / outputs;
          if (in_block) y(t, c) += weight(c, i % inputs) * input(t, i);
        }
      }
    }
    if (group.token_mixing == TokenMixing::toeplitz) y = convolved(y, weights_.at(std::string(name) + ".taps"));
    for (auto& value : y.values) value = act(group.nonlinearity, value);
    return y;
  }

  const Matrix& feature(const char* name, const Matrix& input) const {
    if (!features_.contains(name)) features_[name] = made(name, input);
    return features_.at(name);
  }
  const Matrix& feature(const char* name) const { return feature(name, x_); }

  Matrix memoryless() const {
    auto y = feature("value");
    const auto& gate = feature("gate");
    for (std::size_t i = 0; i < y.values.size(); ++i) y.values[i] *= act(config_.nonlinearity, gate.values[i]);
    return y;
  }

  /// Weights of one row of T for channels from `query` of q and `key` of k on.
  std::vector<double> row(const Matrix& q, const Matrix& k, std::size_t i, std::size_t query, std::size_t key, std::size_t width) const {
    const auto phi = [](double value) { return value > 0 ? value + 1 : std::exp(value); };
    const bool linear = config_.nonlinearity == Nonlinearity::none;
    std::vector<double> weights(i + 1, 0.0);
    double total = 0;
    for (std::size_t j = 0; j <= i; ++j) {
      if (!sees(i, j)) continue;
      double score = 0;
      for (std::size_t c = 0; c < width; ++c) {
        score +=
            linear ? phi(q(i, query + c)) * phi(k(j, key + c)) : q(i, query + c) * k(j, key + c) / std::sqrt(static_cast<double>(width));
      }
      const bool softmax = config_.nonlinearity == Nonlinearity::softmax;
      weights[j] = softmax ? std::exp(score) : act(config_.nonlinearity, score);
      total += softmax || linear ? weights[j] : 1.0;
    }
    for (auto& weight : weights) weight /= total;
    return weights;
  }

  Matrix attention() const {
    const auto heads = static_cast<std::size_t>(config_.heads);
    const auto width = x_.columns / heads;
    const std::size_t maps = config_.differential ? 2 : 1;
    const auto part = width / maps;
    const bool rotates = config_.nonlinearity != Nonlinearity::none;
    const auto raw = made("q", x_);
    const auto q = rotates ? rotated(raw, part) : raw;
    if (!features_.contains("k")) features_["k"] = rotates ? rotated(made("k", x_), part) : made("k", x_);
    const auto& k = features_.at("k");
    const auto& v = feature("v");
    const auto key_repeat = static_cast<std::size_t>(named("k").repeat);
    const auto value_repeat = static_cast<std::size_t>(named("v").repeat);
    const double lambda = config_.differential ? differential_lambda(weights_, static_cast<std::size_t>(config_.position)) : 0;
    const double initial = 0.8 - 0.6 * std::exp(-0.3 * static_cast<double>(config_.position - 1));
    Matrix y(x_.rows, x_.columns);
    for (std::size_t h = 0; h < heads; ++h) {
      const auto value = h / value_repeat * width;
      for (std::size_t i = 0; i < x_.rows; ++i) {
        std::vector<double> mixed(width, 0.0);
        for (std::size_t map = 0; map < maps; ++map) {
          // Sub-heads that read one head of k stand together, those of the first map first.
          const auto query = ((h / key_repeat * maps + map) * key_repeat + h % key_repeat) * part;
          const auto weights = row(q, k, i, query, (h / key_repeat * maps + map) * part, part);
          for (std::size_t j = 0; j <= i; ++j) {
            for (std::size_t c = 0; c < width; ++c) mixed[c] += (map == 0 ? 1.0 : -lambda) * weights[j] * v(j, value + c);
          }
        }
        double squares = 0;
        for (const double number : mixed) squares += number * number;
        const double scale = maps == 1 ? 1.0 : (1.0 - initial) / std::sqrt(squares / static_cast<double>(width) + 1e-5);
        for (std::size_t c = 0; c < width; ++c) y(i, h * width + c) = scale * mixed[c];
      }
    }
    return y;
  }

  Matrix convolution() const {
    const auto& b = feature("B");
    const auto& c = feature("C");
    const auto& v = feature("v");
    const bool implicit = named("K").parametrisation == Parametrisation::implicit;
    const auto lags = static_cast<std::size_t>(config_.sparsity == Sparsity::none ? config_.length : config_.band);
    const auto kernel = implicit ? implicit_kernel(weights_, lags) : weights_.at("K");
    Matrix y(x_.rows, x_.columns);
    for (std::size_t i = 0; i < x_.rows; ++i) {
      for (std::size_t j = 0; j <= i; ++j) {
        const auto lag = i - j;
        if (!sees(i, j) || lag >= (implicit ? kernel.rows : kernel.columns)) continue;
        for (std::size_t channel = 0; channel < x_.columns; ++channel) {
          const double at_lag = implicit ? kernel(lag, channel) : kernel(channel, kernel.columns - 1 - lag);
          y(i, channel) += c(i, channel) * at_lag * b(j, channel) * v(j, channel);
        }
      }
    }
    return y;
  }

  Matrix recurrence() const {
    const auto of_a = named("A").parametrisation;
    const bool selective = of_a == Parametrisation::selective;
    const auto& v = feature("v");
    if (of_a != Parametrisation::decay) feature("z");
    if (of_a == Parametrisation::direct || of_a == Parametrisation::liquid) return state_space(x_, weights_, features_);
    const auto& input = selective ? v : x_;
    feature("B", input);
    feature("C", input);
    return selective ? selective_state_space(x_, weights_, features_) : gated_recurrence(x_, weights_, features_);
  }

  const Config& config_;
  const Matrix& x_;
  const Weights& weights_;
  Features& features_;
};

}  // namespace

Matrix generic(const Config& config, const Matrix& x, const Weights& weights, Features& features) {
  if (!config.differential || config.nonlinearity == Nonlinearity::softmax) return Generic(config, x, weights, features).mixed();
  auto base = config;
  base.differential = false;
  std::erase_if(base.groups, [](const GroupConfig& group) { return group.name.ends_with(operators::second_map_suffix); });
  return differential(weights, features, static_cast<std::size_t>(config.position),
                      [&](const Weights& of_map, Features& shared) { return Generic(base, x, of_map, shared).mixed(); });
}

}  // namespace starling::reference
