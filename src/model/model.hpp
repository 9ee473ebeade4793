// A genome as a model: embedding, LIVs in pre-norm residual blocks (composition.hpp says how, where they run in parallel or are
// routed), final norm, tied output. Of a series (Dimensions::channels) linear maps take the place of the embedding and of the output
// (series_ends.hpp).
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <starling/genome/accounting.hpp>
#include <starling/genome/catalogue.hpp>
#include <starling/genome/genome.hpp>
#include <starling/operators/parameter.hpp>

namespace starling::model {

/// What a sequence keeps between tokens; defined in generation.hpp.
struct Generation;

class Model {
 public:
  enum class Initialization { glorot, he };

  /// Weights drawn from (seed, initialisation), the same whatever the machine. `genome` must be valid. dtype is what is computed in:
  /// float, double, or bfloat16, where weights and the residual stream are float all the same: matrices have rounded copies
  /// (Parameter::copy) that meet activations in bfloat16; what is summed over tokens, normed or decays is float. The
  /// residual stream in bfloat16 would save no time that can be measured at 6 LIVs of width 96, nor change the losses there; float is
  /// the safe side for deeper sums. Weights live on `device`, whose first values are those that the CPU has. Inputs and targets may come from
  /// the CPU; what a model gives is on its device. Throws UserError where the width has no legal head size or no operator realises a class.
  Model(const genome::Catalogue& catalogue, const genome::Genome& genome, const genome::Dimensions& dimensions, std::uint64_t seed,
        Initialization initialization = Initialization::glorot, at::ScalarType dtype = at::kFloat, const at::Device& device = at::kCPU);
  ~Model();
  Model(Model&&) noexcept;

  /// Tokens, int64 (batch, length) → logits (batch, length, vocabulary) of dtype. Values of a series, floating (batch, length, channels) →
  /// predictions of the same sizes.
  at::Tensor logits(const at::Tensor& inputs) const;
  /// Mean cross-entropy in nats over the targets that are not −100; 0 where none counts. Differentiable. Throws
  /// std::out_of_range for a target outside the vocabulary. Of a series the mean squared error over the targets that are not NaN.
  at::Tensor loss(const at::Tensor& inputs, const at::Tensor& targets) const { return loss(inputs, targets, Pass{}); }
  /// One of the passes that make a step of training.
  struct Pass {
    std::int64_t counted = -1;       ///< targets that count in the batch of which these sequences are a part, so that the parts' losses and
                                     ///< gradients add up to the batch's; −1: these are all
    double dropout = 0;              ///< probability, below 1: of the embedding, and of what each LIV adds to the residual stream
    std::uint64_t dropout_seed = 0;  ///< of the step
    std::int64_t first_sequence = 0;  ///< within the batch, which dropout's masks depend on
    bool recompute = false;  ///< what a LIV keeps for its backward pass is computed again there, so that besides the residual stream
                             ///< between LIVs the activations of one (or one path group) exist at a time; values and gradients are the same
  };
  at::Tensor loss(const at::Tensor& inputs, const at::Tensor& targets, const Pass& pass) const;
  struct Score {
    double sum = 0;            ///< Σ of the cross-entropy in nats; of a series of the squared errors
    std::int64_t counted = 0;  ///< targets that count
    at::Tensor predictions;    ///< int64 (batch, length): argmax; undefined of a series
  };
  /// Without gradient.
  Score score(const at::Tensor& inputs, const at::Tensor& targets) const;

  /// State for `batch` sequences of at most `capacity` tokens. Generation computes with the weights themselves, in float where
  /// dtype is bfloat16. Throws UserError for a model that reconstructs.
  std::unique_ptr<Generation> begin(std::int64_t batch, std::int64_t capacity) const;
  /// The next token of every sequence: int64 (batch) → logits (batch, vocabulary); of a series the next values (batch, channels) → those
  /// predicted after them. Without gradient. Equal to the last row of logits(). Throws std::length_error where the state is full.
  at::Tensor step(const at::Tensor& inputs, Generation& state) const;
  /// The same for several at once, (batch, count) or (batch, count, channels): what follows the last of them.
  at::Tensor extend(const at::Tensor& inputs, Generation& state) const;

  /// Every trainable tensor once (shared ones at their owner), in a fixed order with stable names: "embedding", then by
  /// LIV from 0 "livs.3.norm", "livs.3.bank.q", "livs.3.out", then "norm", then what composes LIVs: "livs.3.route.weight",
  /// "livs.3.path.weight" (log w), …. Of a series "input.weight" and "input.bias" are the first, "output.weight" follows "norm", and
  /// "output.bias" and "output.skip" are the last. All are slices of one allocation: update them in place.
  const std::vector<operators::Parameter>& parameters() const;
  at::Device device() const;

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace starling::model
