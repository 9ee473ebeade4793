// A linear input-varying operator (LIV) without its weights: a function of (input, featurizer bank, private weights,
// features, state). Weights, activations and state are lists of tensors in the order of the declarations, so that
// sharing any of them is passing the same tensor twice.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include <starling/operators/config.hpp>
#include <starling/operators/tensor_spec.hpp>

namespace starling::operators {

using Tensors = std::vector<at::Tensor>;

/// What a LIV keeps of the tokens seen so far.
struct State {
  std::int64_t position = 0;  ///< tokens seen
  Tensors tensors;            ///< as declared by Operator::state: (batch, entries, …) where per token, else (batch, …)
  Tensors derived;            ///< of the weights alone, one for all sequences, kept so as not to be computed at every step
};

/// One application of an operator.
struct Call {
  const at::Tensor& x;     ///< (batch, length, width), normalised
  const Tensors& bank;     ///< as declared by Operator::bank; undefined for groups that the bank does not hold
  const Tensors& own;      ///< as declared by Operator::own
  GroupMask computes = 0;  ///< groups to compute here; the others are read, or given
  GroupMask given = 0;  ///< groups that this LIV has computed for another map of the same tokens: T₂ of a differential gets v from T₁
  /// By feature group, then exports. On entry those that are read, on return all: what another LIV reads is exactly what
  /// its owner used (k after rotation; with a state, k and v of the whole history).
  Tensors& features;
  State* state = nullptr;  ///< null: x is whole sequences. Else x continues them: tensors are updated in place,
                           ///< position is not. No gradient.
};

class Operator {
 public:
  virtual ~Operator() = default;

  /// Tensors of the featurizer bank (shareable), by group; projections of the same input stand side by side.
  const std::vector<TensorSpec>& bank() const { return bank_; }
  /// Private tensors; the first is the output projection (width, inner), or the first two are where it is a Monarch matrix.
  const std::vector<TensorSpec>& own() const { return own_; }
  /// What one sequence keeps where these groups are computed here.
  virtual std::vector<StateSpec> state(GroupMask computes) const = 0;
  /// The same where `given` groups are no other LIV's: whatever these leave behind together with others is kept here.
  virtual std::vector<StateSpec> state_given(GroupMask computes, GroupMask) const { return state(computes); }
  /// Entries behind the feature groups that an owner fills where there is a state, and that all its readers get: what the
  /// tokens before have left in forms that the groups do not show.
  virtual std::size_t exports() const { return 0; }
  /// Mixed channels (batch, length, inner), before the output projection.
  virtual at::Tensor forward(const Call& call) const = 0;
  /// residual + the output projection of what forward gave.
  virtual at::Tensor output(const at::Tensor& residual, const at::Tensor& mixed, const Tensors& own) const;

 protected:
  std::vector<TensorSpec> bank_;
  std::vector<TensorSpec> own_;
};

}  // namespace starling::operators
