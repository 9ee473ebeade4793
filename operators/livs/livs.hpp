// The families of operators. Each function gives null where the configuration is not its own, so that a new family is
// one source and one line in compile.cpp.
#pragma once

#include <memory>

#include <starling/operators/config.hpp>
#include <starling/operators/operator.hpp>

namespace starling::operators {

/// T₁ − λ T₂ over any of the operators below that is linear in v (SA-2-Diff, Rec-1-Diff, Rec-2-Diff, GConv-1-Diff, GConv-2-Diff,
/// S4-Diff).
std::unique_ptr<Operator> differential(const Config& config);
/// Attention over scores with rotary positions: softmax (SA-1, SA-3, SA-4, and with short convolutions SA-5, and their
/// differentials), ReLU, SiLU and GELU over all keys, a band or a block, and linear attention over a band or a block: low rank,
/// dense (one head) or grouped (heads); groups q, k, v.
std::unique_ptr<Operator> score_attention(const Config& config);
/// Normalised linear attention with φ = elu + 1 over all keys (SA-2): low rank, no nonlinearity, dense or grouped; groups q, k, v.
std::unique_ptr<Operator> linear_attention(const Config& config);
/// Selective state space S6 (Rec-1): semi-separable, no nonlinearity; groups B, C, A, v, z.
std::unique_ptr<Operator> selective_state_space(const Config& config);
/// Diagonal gated recurrence (Rec-2): semi-separable, no nonlinearity; groups B, C, A, v.
std::unique_ptr<Operator> gated_recurrence(const Config& config);
/// C ⊙ (K * (B ⊙ v)) with an explicit short K (GConv-1), cut by a band or blocks: Toeplitz, no nonlinearity; groups B, C, v, K.
std::unique_ptr<Operator> gated_convolution(const Config& config);
/// The same with a K as long as the sequence, a function of position (GConv-2), or as the band: Toeplitz, no nonlinearity; groups B, C, v, K.
std::unique_ptr<Operator> implicit_convolution(const Config& config);
/// Diagonal complex state space whose A, B and C are weights (S4-1), also with decays that the input bends (S4-2) or
/// with Monarch projections (S4-Monarch): semi-separable, no nonlinearity; groups B, C, A, v, z.
std::unique_ptr<Operator> state_space(const Config& config);
/// act(gate) ⊙ value (GMemless, GMemless-2, GMemless-3): diagonal, SiLU, GELU, ReLU or none; groups gate, value.
std::unique_ptr<Operator> gated_memoryless(const Config& config);

}  // namespace starling::operators
