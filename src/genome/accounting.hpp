// Exact numbers of an architecture by formula: parameters, inference cache, floating-point operations. The model and
// its generation state are counted against these in the tests.
//
// FLOPs (a multiplication and an addition are two), per token:
//   projections        2 × the elements of the matrices that this LIV's own computations use, W_o included; weights
//   that are shared are
//                      counted by everyone who computes with them, feature groups that are read cost nothing
//   convolved groups   2 per tap and channel
//   attention scores   4 · d · pairs / L: q kᵀ and T v over the pairs of a sequence of L tokens that see each other, all causal
//                      ones (pairs / L = (L + 1) / 2), or those of a band or a block
//   linear attention   4 · d · d_h + 3 d: the state Σ φ(k) vᵀ updated and read, the normaliser likewise
//   recurrence         7 per element of the state (selective: Δ A, its exponential, (Δ v) B, decay × h, the sum, C h,
//                      the sum over states; gated: B v, 1 − a, their product, a h, the sum, C h, the sum over states),
//                      and where it is selective 2 d for D v
//   state space        11 per pair of conjugate states (Ā x, the input, Re C x), liquid 15 (how far the input bends Ā), 2 d for D v
//   gated convolution  2 per tap of K and channel
//   implicit K         2 · d · pairs / L: the pairs, multiplied one by one; K itself, made once per batch, is left out
//   route              2 · d for the projection of the gate
//   differential       both maps: twice as much as the base; softmax 6 · d · pairs / L, its sub-heads being half as wide
// Norms, rotations, activations, gates and residual sums are left out: they are O(d) beside O(d²).
// Of these, products of matrices are the projections (route included), W_o, the attention scores and the output projection.
// Training: 3 × forward (backward costs twice forward), the output projection 2 · d · vocabulary included; of a series the projections at
// both ends, 4 · d · channels.
//
// Activations, what a LIV keeps of every token from its forward to its backward pass, besides the residual stream:
//   every LIV          its normalised input and what goes into W_o; the feature groups it computes, before and behind a convolution or
//                      between the factors of a Monarch matrix
//   attention          q and k once more where scores are made of them (rotated)
//   recurrence         states at some tokens; of a state space also what comes out of it
//   gated convolution  B v and what comes out of the convolution; an implicit K and what it is made of, once for all sequences
//   differential       both maps and their difference
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include <starling/genome/catalogue.hpp>
#include <starling/genome/genome.hpp>

namespace starling::genome {

/// The sizes a genome is instantiated at.
struct Dimensions {
  std::int64_t width = 0;       ///< channels d
  std::int64_t length = 0;      ///< tokens L of the sequence
  std::int64_t vocabulary = 0;  ///< rows of the tied embedding
  std::int64_t band = 256;      ///< tokens that banded and block-diagonal classes see
  bool reconstructs = false;    ///< a decoder (two matrices d × d) gives back all tokens from the last output (MAD compression)
  std::int64_t channels = 0;    ///< columns of a series, whose values take the place of tokens; 0 where there are tokens
};

struct Parameters {
  std::int64_t matrices = 0;   ///< elements of weight matrices (projections), without the embedding
  std::int64_t vectors = 0;    ///< norms, biases, kernels, A, D: the rest, without the embedding
  std::int64_t embedding = 0;  ///< of tokens; of a series the projections from and to its columns, with their biases and the skip

  std::int64_t without_embedding() const { return matrices + vectors; }
  std::int64_t total() const { return matrices + vectors + embedding; }
};

/// What one sequence keeps to continue, in elements.
struct Cache {
  std::int64_t dynamic_per_token = 0;
  std::int64_t fixed = 0;
  std::int64_t windowed_per_token = 0;  ///< of the last `window` tokens only: the sequence length that the model is made for
  std::int64_t window = 0;
  std::int64_t banded_per_token = 0;  ///< of the last `band` tokens, or of those in a block of so many
  std::int64_t band = 0;

  /// What a token adds until window and band are full.
  std::int64_t per_token() const { return dynamic_per_token + windowed_per_token + banded_per_token; }
  std::int64_t elements(std::int64_t tokens) const {
    return dynamic_per_token * tokens + windowed_per_token * std::min(tokens, window) + banded_per_token * std::min(tokens, band) + fixed;
  }
  /// The objective: 2 bytes per element.
  std::int64_t bytes(std::int64_t tokens) const { return 2 * elements(tokens); }
};

/// Elements that a training step keeps between forward and backward pass.
struct Activations {
  std::int64_t working = 0;  ///< per token, of the type that is computed in
  std::int64_t exact = 0;    ///< per token, float in any case
  std::int64_t shared = 0;   ///< once for all sequences, float

  /// `element_bytes` of the type that is computed in.
  std::int64_t bytes_per_token(std::int64_t element_bytes) const { return working * element_bytes + 4 * exact; }
};

/// Numbers of one LIV in its place (sharing subtracted: weights count at their owner, cached groups at the LIV that
/// computes them).
struct LivAccount {
  Parameters parameters;  ///< includes the LIV's RMSNorm, its weight in a path group and its gate
  Cache cache;
  std::int64_t forward_flops = 0;  ///< per token, averaged over a sequence of `length` tokens
  std::int64_t product_flops = 0;  ///< the part of them that is products of matrices
  Activations activations;
  std::int64_t left_per_token = 0;  ///< elements of its features, per token, where other LIVs read any of them: they are kept until then
  std::size_t path_first = 0;       ///< first LIV of its path group; itself where it is sequential
};

/// What the activations of a training step take, the logits aside.
struct ActivationBytes {
  std::int64_t per_token = 0;
  std::int64_t fixed = 0;  ///< whatever the number of tokens
};

struct Account {
  std::vector<LivAccount> livs;  ///< as in the plan: without the empty ones, which cost nothing
  Parameters parameters;         ///< with embedding and final norm
  Cache cache;
  std::int64_t training_flops = 0;          ///< per token: 3 × forward, output projection included
  std::int64_t training_product_flops = 0;  ///< the part of them that is products of matrices
  std::int64_t vocabulary = 0;              ///< rows of the tied embedding; 0 of a series

  /// The float gradients of all weights; of a tied embedding three: from the output, scaled, and from the input.
  std::int64_t gradient_bytes() const;
  /// The two float moments that AdamW keeps of every weight.
  std::int64_t moment_bytes() const { return 8 * parameters.total(); }
  /// The logits that exist at once where the loss of so many tokens is made; see base/logit_chunk.hpp. In bfloat16 on a CPU also the
  /// logits and the embedding in float: so they are multiplied where the processor has no such products.
  std::int64_t logit_bytes(std::int64_t tokens, std::int64_t element_bytes, bool on_device) const;
  /// The float residual stream between the LIVs, the activations of all of them (where they are `recomputed` in the backward pass those of one
  /// path group, the largest, and all features that others read), and for the gradients inside a LIV twice as much as its activations. An upper
  /// bound: tensors take at least half of it, a quarter where LIVs are recomputed.
  ActivationBytes activation_bytes(std::int64_t width, std::int64_t element_bytes, bool recomputed) const;
};

/// `genome` must be valid. Throws UserError where the width has no legal head size or a class does not fit it.
Account account(const Catalogue& catalogue, const Genome& genome, const Dimensions& dimensions);

}  // namespace starling::genome
