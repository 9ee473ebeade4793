// The inner loop of matrix recurrences, shared by the kernels that differ in what they feed it: tokens of a chunk lie packed
// in panels, the state stays in the first cache, pieces of it in registers while the chunk's tokens pass. Only for x_cpu.cpp.
#pragma once

#include <starling/kernels/head_strides.hpp>
#include <starling/kernels/scratch.hpp>
#include <starling/kernels/simd.hpp>

namespace starling::kernels {
namespace {

/// Tokens whose panels, with the state of a head of 64 × 64, lie in a first cache of 48 KB.
constexpr std::int64_t matrix_scan_chunk = 32;

/// What scales the state before a token is added: nothing, one number per token, one per row, one per column.
enum class StateDecay { none, scalar, rows, columns };

/// Panels of at most matrix_scan_chunk tokens in the order of the scan, and the state that they meet:
///   state ← decay ⊙ state + left rightᵀ,  out = stateᵀ reader,  token after token.
template <class T>
struct MatrixScan {
  T* left;    // (tokens, rows)
  T* reader;  // (tokens, rows)
  T* right;   // (tokens, columns)
  T* decay;   // (tokens), (tokens, rows) or (tokens, columns)
  T* out;     // (tokens, columns)
  T* state;   // (rows, columns)
  std::int64_t rows;
  std::int64_t columns;  // of whole packs
};

/// Panels for states of up to key_width × value_width either way round, and `extra` elements at the end of the scratch.
template <class T>
MatrixScan<T> make_panels(std::int64_t key_width, std::int64_t value_width, std::int64_t extra_elements = 0, T** extra = nullptr) {
  const std::int64_t width = larger(padded<T>(key_width), padded<T>(value_width));
  const std::int64_t panel = matrix_scan_chunk * width;
  const std::int64_t elements = 5 * panel + width * width;
  auto* const memory = static_cast<T*>(scratch_bytes(static_cast<std::size_t>(elements + extra_elements) * sizeof(T)));
  if (extra) *extra = memory + elements;
  return {memory, memory + panel, memory + 2 * panel, memory + 3 * panel, memory + 4 * panel, memory + 5 * panel, 0, 0};
}

/// A zero state of rows × width.
template <class T>
void clear_state(MatrixScan<T>& scan, std::int64_t rows, std::int64_t width) {
  scan.rows = rows;
  scan.columns = padded<T>(width);
  __builtin_memset(scan.state, 0, static_cast<std::size_t>(scan.rows * scan.columns) * sizeof(T));
}

/// The state from and to a contiguous (rows, width).
template <class T>
void load_state(const MatrixScan<T>& scan, const T* from, std::int64_t width) {
  for (std::int64_t i = 0; i < scan.rows; ++i)
    for (std::int64_t j = 0; j < width; j += lanes<T>) store(scan.state + i * scan.columns + j, load(from + i * width + j, width - j));
}
template <class T>
void store_state(const MatrixScan<T>& scan, T* to, std::int64_t width) {
  for (std::int64_t i = 0; i < scan.rows; ++i)
    for (std::int64_t j = 0; j < width; j += lanes<T>) store(to + i * width + j, load(scan.state + i * scan.columns + j), width - j);
}

/// Rows of one head: token t begins at data + t · stride.
template <class P>
struct Rows {
  P data = nullptr;
  std::int64_t stride = 0;
  std::int64_t width = 0;

  P operator[](std::int64_t token) const { return data + token * stride; }
};

/// Asks for a row that is read soon, if it is one of `length`. Rows of a head are short pieces far apart: no prefetcher foresees them.
template <class P>
[[gnu::always_inline]] inline void prefetch(const Rows<P>& rows, std::int64_t token, std::int64_t length) {
  if (token < 0 || token >= length) return;
  for (std::int64_t i = 0; i < rows.width; i += 64 / static_cast<std::int64_t>(sizeof(*rows.data))) __builtin_prefetch(rows[token] + i);
}
/// How many tokens ahead of the one that is packed: a memory's latency of work.
constexpr std::int64_t prefetch_distance = 8;

template <class P>
Rows<P> rows_of(P data, const HeadStrides& strides, std::int64_t batch, std::int64_t head, std::int64_t width) {
  return {data ? data + strides.at(batch, head) : nullptr, strides.token, width};
}

/// map(pack) of a row to `columns` elements at `to`, zero behind its width.
template <class T, class Map>
[[gnu::always_inline]] inline void pack_row(const T* row, std::int64_t width, Compute<T>* to, std::int64_t columns, Map map) {
  std::int64_t i = 0;
  for (; i < width; i += lanes<T>) store(to + i, map(load(row + i, width - i)), width - i);
  for (i = width; i < columns; ++i) to[i] = Compute<T>(0);
}
template <class T>
[[gnu::always_inline]] inline void pack_row(const T* row, std::int64_t width, Compute<T>* to, std::int64_t columns) {
  pack_row(
      row, width, to, columns, [](Pack<T> x) __attribute__((always_inline)) { return x; });
}

template <StateDecay decay, bool add, int rows, int packs, class T>
[[gnu::always_inline]] inline void scan_block(const MatrixScan<T>& scan, std::int64_t tokens, std::int64_t row, std::int64_t column) {
  Pack<T> state[rows][packs];
  T* kept = scan.state + row * scan.columns + column;
  for (int r = 0; r < rows; ++r)
    for (int j = 0; j < packs; ++j) state[r][j] = load(kept + r * scan.columns + j * lanes<T>);
  const T* left = scan.left + row;
  const T* reader = scan.reader + row;
  const T* right = scan.right + column;
  T* out = scan.out + column;
  for (std::int64_t t = 0; t < tokens; ++t) {
    Pack<T> line[packs];
    Pack<T> sums[packs];
    for (int j = 0; j < packs; ++j) {
      line[j] = load(right + j * lanes<T>);
      sums[j] = add ? load(out + j * lanes<T>) : Pack<T>{};
    }
    for (int r = 0; r < rows; ++r) {
      const Pack<T> factor = splat(left[r]);
      const Pack<T> gain = splat(reader[r]);
      for (int j = 0; j < packs; ++j) {
        Pack<T> before = state[r][j];
        if constexpr (decay == StateDecay::scalar) before *= scan.decay[t];
        if constexpr (decay == StateDecay::rows) before *= scan.decay[t * scan.rows + row + r];
        if constexpr (decay == StateDecay::columns) before *= load(scan.decay + t * scan.columns + column + j * lanes<T>);
        state[r][j] = factor * line[j] + before;
        sums[j] = gain * state[r][j] + sums[j];
      }
    }
    for (int j = 0; j < packs; ++j) store(out + j * lanes<T>, sums[j]);
    left += scan.rows;
    reader += scan.rows;
    right += scan.columns;
    out += scan.columns;
  }
  for (int r = 0; r < rows; ++r)
    for (int j = 0; j < packs; ++j) store(kept + r * scan.columns + j * lanes<T>, state[r][j]);
}

/// All rows of `packs` packs of columns, in blocks of `rows`, then of fewer.
template <StateDecay decay, int rows, int packs, class T>
void scan_columns(const MatrixScan<T>& scan, std::int64_t tokens, std::int64_t column, std::int64_t row = 0) {
  if (row == 0 && rows <= scan.rows) {
    scan_block<decay, false, rows, packs>(scan, tokens, 0, column);
    row = rows;
  }
  for (; row + rows <= scan.rows; row += rows) scan_block<decay, true, rows, packs>(scan, tokens, row, column);
  if constexpr (rows > 1) {
    if (row < scan.rows) scan_columns<decay, (rows > 4 ? 4 : 1), packs>(scan, tokens, column, row);
  }
}

/// Carries the state over the first `tokens` tokens of the panels and writes their outputs.
template <StateDecay decay, class T>
void advance(const MatrixScan<T>& scan, std::int64_t tokens) {
  // 32 registers hold 24 packs of the state, two of `right` and `out` each and two factors; 16 hold 8.
  constexpr int height = here == Level::v4 ? 12 : 4;
  std::int64_t column = 0;
  for (; column + 2 * lanes<T> <= scan.columns; column += 2 * lanes<T>) scan_columns<decay, height, 2>(scan, tokens, column);
  if (column < scan.columns) scan_columns<decay, height, 1>(scan, tokens, column);
}

}  // namespace
}  // namespace starling::kernels
