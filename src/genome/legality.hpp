// Which operator genomes and featurizer genomes make an operator. What is legal here compiles, trains, generates and is
// counted; what is not is refused with the reason.
//
//   token mixing        feature groups                         sparsity  nonlinearity  channel mixing of T
//   1 diagonal          gate, value                            1         1, 3, 4, 5    2
//   2 low rank          q, k, v                                1, 2, 3   1 … 5         2 (one head), 3 (H heads)
//   3 Toeplitz          B, C, v, K (direct or implicit)        1, 2, 3   1             1
//   4 semi-separable    B, C, A, v, z; no z where A is a decay 1         1             1; 4 (W_o) where A is direct or liquid
//
// A class has exactly these groups: one that is missing has no values, one that is too many would be computed for nothing.
// A projected group (any but K and A) may pass a depthwise causal convolution (token mixing 3, 1 … 8 taps) and a pointwise
// nonlinearity (3, 4, 5), in this order, and is a diagonal, dense, grouped (H blocks) or Monarch
// function of its input. A group's
// own sparsity is 1: its convolution is as short as its taps say. Expansion × repeat is 1 for q, k and v (only k and v may
// repeat; without nonlinearity and sparsity the two alike, because heads of a state belong to both), 1 × 1 for the others,
// n per token for B and C of a recurrence (A then n where it is a decay; where A is direct or liquid B and C are direct, all
// three without expansion), and anything × 1, the same for both, for gate and
// value.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <starling/genome/catalogue.hpp>

namespace starling::genome {

/// Most taps of a group's convolution, and of a direct K.
inline constexpr int max_taps = 8;
/// Largest numerator, denominator and number per token of an expansion.
inline constexpr int max_expansion = 4096;

/// Why these genomes make no operator at any width, in one sentence; empty where they do. `groups` are those of one map:
/// `differential` doubles them elsewhere.
std::string objection(const OperatorGenome& op, const std::vector<FeatureGroup>& groups, bool differential);

/// Whether these are the groups that a token mixing uses.
bool has_groups_of(TokenMixing mixing, const std::vector<FeatureGroup>& groups);

/// Why genomes without objection do not fit a legal width; empty where they do.
std::string objection_at(std::int64_t width, const OperatorGenome& op, const std::vector<FeatureGroup>& groups);

/// Throws UserError where the width has no legal head size or the class does not fit it; the message names the class.
void require_fit(const LivClass& liv_class, const Featurizer& featurizer, std::int64_t width);

}  // namespace starling::genome
