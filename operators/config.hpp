// What an operator is built from: operator genome and featurizer genome with their sizes filled in. The model
// translates catalogue rows to it; the numbers of the enumerators are those of the genome.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace starling::operators {

enum class TokenMixing { diagonal = 1, low_rank = 2, toeplitz = 3, semi_separable = 4 };
enum class Sparsity { none = 1, banded = 2, block_diagonal = 3 };
enum class Nonlinearity { none = 1, softmax = 2, relu = 3, silu = 4, gelu = 5 };
enum class ChannelMixing { diagonal = 1, dense = 2, grouped = 3, monarch = 4 };

/// Where the values of a feature group come from: a projection of the input, learned values that no input changes,
/// (S6) learned decays discretised by a low-rank function of the input, decays that are σ of a projection and a bias, a learned function of the
/// lag, or learned decays that the input bends (liquid S4).
enum class Parametrisation { input, direct, selective, decay, implicit, liquid };

/// A set of feature groups; bit i is Config::groups[i].
using GroupMask = std::uint32_t;

constexpr bool contains(GroupMask mask, std::size_t group) { return (mask >> group & 1u) != 0; }

struct GroupConfig {
  std::string name;           ///< q, k, v, B, C, A, K, z, gate, value; B2, C2, … for T₂ of a differential operator
  std::int64_t channels = 0;  ///< features per token, before they are repeated
  int repeat = 1;             ///< channels that read each feature
  Parametrisation parametrisation = Parametrisation::input;
  TokenMixing token_mixing = TokenMixing::diagonal;
  int taps = 0;  ///< of the depthwise causal convolution where token_mixing is toeplitz; for the group K, of K itself
  Sparsity sparsity = Sparsity::none;
  Nonlinearity nonlinearity = Nonlinearity::none;
  ChannelMixing channel_mixing = ChannelMixing::dense;

  bool operator==(const GroupConfig&) const = default;
};

/// What stands behind the names of a group, its weights and its state where they belong to T₂ of a differential operator.
inline constexpr const char* second_map_suffix = "2";

struct Config {
  std::string name;  ///< of the class, for messages
  TokenMixing token_mixing = TokenMixing::diagonal;
  Sparsity sparsity = Sparsity::none;
  Nonlinearity nonlinearity = Nonlinearity::none;
  ChannelMixing channel_mixing = ChannelMixing::dense;
  bool differential = false;  ///< T = T₁ − λ T₂; but for softmax, the groups of T₂ follow all others
  std::int64_t position = 1;  ///< of the LIV in depth, from 1: λ starts there
  std::int64_t width = 0;     ///< channels d of the residual stream
  std::int64_t length = 0;    ///< tokens of the sequences that the model is made for
  std::int64_t band = 0;      ///< where sparsity is not none: tokens that a token sees at most, or of a block
  std::int64_t heads = 1;     ///< of attention
  std::int64_t blocks = 1;    ///< of a grouped projection
  std::vector<GroupConfig> groups;

  /// Index of the named group, or -1.
  int group(std::string_view group_name) const {
    for (std::size_t i = 0; i < groups.size(); ++i) {
      if (groups[i].name == group_name) return static_cast<int>(i);
    }
    return -1;
  }
};

}  // namespace starling::operators
