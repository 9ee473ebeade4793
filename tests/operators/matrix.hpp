// Plain matrices of doubles for the references of the tests: no library, no cleverness.
#pragma once

#include <cstddef>
#include <vector>

namespace starling::reference {

struct Matrix {
  std::size_t rows = 0;
  std::size_t columns = 0;
  std::vector<double> values;

  Matrix() = default;
  Matrix(std::size_t r, std::size_t c) : rows(r), columns(c), values(r * c, 0.0) {}
  double& operator()(std::size_t i, std::size_t j) { return values[i * columns + j]; }
  double operator()(std::size_t i, std::size_t j) const { return values[i * columns + j]; }
};

/// x (tokens, inputs) · weightᵀ (outputs, inputs).
inline Matrix times_transposed(const Matrix& x, const Matrix& weight) {
  Matrix y(x.rows, weight.rows);
  for (std::size_t i = 0; i < x.rows; ++i) {
    for (std::size_t o = 0; o < weight.rows; ++o) {
      for (std::size_t k = 0; k < x.columns; ++k) y(i, o) += x(i, k) * weight(o, k);
    }
  }
  return y;
}

}  // namespace starling::reference
