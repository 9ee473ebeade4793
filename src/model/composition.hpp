// How contributions of LIVs enter the residual stream where that is not plain addition.
//   A path group sees one x: x ← x + Σ_k w_k LIV_k(RMSNorm_k(x)), w_k > 0 learned as log w_k, 1/√K at the start.
//   A routed LIV has a gate g_t in [0, 1) of its own normalised input (operators/functions/liquid_gate.hpp), f from a projection
//   width → 1. Alone it contributes × σ(β − ω g_t). In a path group with a routed LIV the weights are, per token, softmax over k
//   of (log w_k + s g_{k,t}): they sum to 1, and a member that is not routed has g = 0.
// At the start: bias −3, τ = 4 tokens, Δ = 1, so that g is about 0.2 at an input of 0 and remembers four tokens; β = 4, ω = 8,
// nearly open; s = 1, one for the group. τ, Δ and w are learned as logarithms. Nothing but the projection decays.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <starling/genome/plan.hpp>
#include <starling/operators/operator.hpp>
#include <starling/operators/tensor_spec.hpp>

namespace starling::model {

/// What one LIV has of it; undefined where it has none.
struct Composition {
  at::Tensor path_weight;   ///< log w, in a path group
  at::Tensor path_scale;    ///< s, at the first LIV of a path group with a routed one
  at::Tensor route_weight;  ///< (1, width), of a routed LIV; so are the next
  at::Tensor route_bias;
  at::Tensor route_tau;    ///< log τ
  at::Tensor route_delta;  ///< log Δ
  at::Tensor route_beta;   ///< of a routed LIV alone
  at::Tensor route_omega;

  bool is_routed() const { return route_weight.defined(); }

  /// Calls f on every tensor of it, in one order.
  template <class Self, class F>
  static void each_tensor(Self& self, F&& f) {
    for (const auto member : {&Composition::path_weight, &Composition::path_scale, &Composition::route_weight, &Composition::route_bias,
                              &Composition::route_tau, &Composition::route_delta, &Composition::route_beta, &Composition::route_omega}) {
      f(self.*member);
    }
  }
};

/// The tensors a LIV needs with their specs: matrices, then single numbers.
struct Declaration {
  operators::TensorSpec spec;
  at::Tensor Composition::*target;
};
std::vector<Declaration> declare_composition(const genome::LivPlan& plan, bool is_first, std::int64_t width);

/// What the contributions of a path group (or of one LIV) are multiplied by: undefined for 1, (1), or (batch, length, 1).
/// `normalised` by member, each (batch, length, width). `gates` by member, or null for whole sequences: g so far, (batch, 1),
/// which is updated.
operators::Tensors contribution_weights(const std::vector<const Composition*>& members, const operators::Tensors& normalised,
                                        const at::Tensor* gates);

}  // namespace starling::model
