// The operators written from their equations: T_ij as an explicit matrix per channel, y_i = Σ_j T_ij v_j, in double.
// Slow, independent of the operators under test.
#pragma once

#include <functional>
#include <map>
#include <string>

#include "matrix.hpp"

namespace starling::reference {

/// Weights by the names operators declare; features by group name. A feature that is there on entry is used instead of
/// being computed.
using Weights = std::map<std::string, Matrix>;
using Features = std::map<std::string, Matrix>;

/// What a LIV is besides its weights.
struct Setting {
  std::size_t heads = 1;
  std::size_t position = 1;  ///< in depth, from 1
  std::size_t length = 0;    ///< tokens that an implicit kernel is made for
};

/// λ of a LIV: exp(q1 · k1) − exp(q2 · k2) + λ₀ with λ₀ = 0.8 − 0.6 exp(−0.3 (position − 1)).
double differential_lambda(const Weights& weights, std::size_t position);

/// A class of the catalogue by name: mixed channels before the output projection, of one sequence x (tokens, width).
/// Throws std::invalid_argument for a class that has no reference.
Matrix mixed(const std::string& class_name, const Matrix& x, const Weights& weights, Features& features, const Setting& setting);

/// Rotary positions of x (tokens, heads · head_width).
Matrix rotated(const Matrix& x, std::size_t head_width);
/// Depthwise causal: y_i = Σ_j K_{i−j} x_j, the last column of taps is K_0.
Matrix convolved(const Matrix& x, const Matrix& taps);
/// K (lags, channels) of an implicit convolution, its window included.
Matrix implicit_kernel(const Weights& weights, std::size_t kernel_length);
/// T₁ − λ T₂ of a base whose second weights and features have a 2 behind the name of their group.
Matrix differential(const Weights& weights, Features& features, std::size_t position,
                    const std::function<Matrix(const Weights&, Features&)>& base);

Matrix softmax_attention(const Matrix& x, const Weights& weights, Features& features, std::size_t heads, std::size_t repeat);
Matrix linear_attention(const Matrix& x, const Weights& weights, Features& features, std::size_t heads);
Matrix differential_attention(const Matrix& x, const Weights& weights, Features& features, const Setting& setting, std::size_t repeat);
Matrix selective_state_space(const Matrix& x, const Weights& weights, Features& features);
Matrix gated_recurrence(const Matrix& x, const Weights& weights, Features& features);
Matrix gated_convolution(const Matrix& x, const Weights& weights, Features& features);
Matrix state_space(const Matrix& x, const Weights& weights, Features& features);
Matrix implicit_convolution(const Matrix& x, const Weights& weights, Features& features, std::size_t kernel_length);
Matrix gated_memoryless(const Matrix& x, const Weights& weights, Features& features, double (*activation)(double));

/// x through the weight of that name, or through "name.right" and "name.left", whose blocks lie below each other.
Matrix through(const Matrix& x, const Weights& weights, const std::string& name);

Matrix rms_norm(const Matrix& x, const Matrix& weight);

}  // namespace starling::reference
