// Recurrences of a matrix-valued state on a device, by chunks of tokens side by side (notation of matrix_recurrence.hpp; the chunked form
// of Hua et al. 2022, arXiv 2202.10447, and Dao and Gu 2024, arXiv 2405.21060). Three launches: what each chunk adds to a state; the
// states between chunks, a thread for a number; the chunks' outputs from these. Within a chunk, with A_ij = Σ q_i ⊙ decay(j → i) ⊙ k_j:
//   y_i = Σ_{j ≤ i} A_ij v_j + Sᵀ (q_i ⊙ decay(start → i)),  S' = decay ⊙ S + Σ_j (k_j ⊙ decay(j → end)) v_jᵀ.
// The backward pass is made of the same launches the other way round (matrix_chunk_gradients_device.hpp).
//
// Decays are multiplied in the order of the tokens. A decay per channel rules out products of tiles for A, which is summed from keys
// carried to their queries in registers, and for the sums over keys of dq and dk, which are carried as the scan itself does.
//
// Normalised: the values have one more column, of ones, whose sum is the norm, and the gradients one more, of the norm's.
#pragma once

#include <starling/kernels/chunk_products_device.hpp>
#include <starling/kernels/head_strides.hpp>

#include <type_traits>

namespace starling::kernels::device {

enum class ChunkForm { plain, head_decay, channel_decay, normalised };

/// Whether numbers of T, and keys as they are loaded, have no rest (chunk_products_device.hpp).
template <class T>
inline constexpr bool exact_rows = std::is_same_v<T, bfloat16>;
template <class T, ChunkForm form>
inline constexpr bool exact_keys = exact_rows<T>&& form != ChunkForm::normalised;

/// Rows of all heads of an array.
template <class X>
struct HeadRows {
  X* data;
  HeadStrides strides;
  Index width;
  bool bundles;

  /// Tokens from `token` on, columns from `column` on.
  STARLING_DEVICE TileRows<X> of(Index batch, Index head, Index token, Index tokens, Index column = 0) const {
    return {data + batch * strides.batch + head * strides.head + token * strides.token + column, strides.token, tokens, width - column,
            bundles};
  }
};
template <class X>
HeadRows<X> head_rows(X* data, const HeadStrides& strides, Index width) {
  constexpr int n = Tile<Compute<std::remove_const_t<X>>>::bundle;
  return {data, strides, width,
          all_aligned<n>(static_cast<const std::remove_const_t<X>*>(data), strides.batch, strides.token, strides.head)};
}

/// What the launches of a pass read.
template <class T>
struct ChunkInputs {
  using C = Compute<T>;
  static constexpr int side = Tile<C>::side;
  HeadRows<const T> q;
  HeadRows<const T> k;
  HeadRows<const T> v;
  HeadRows<const T> dy;
  HeadRows<const C> log_decay;
  const C* inverse_norm;   ///< (batch, heads, length)
  const C* norm_gradient;  ///< the same
  Index batch;
  Index length;
  Index heads;
  Index columns;  ///< of a state

  STARLING_DEVICE constexpr Index rows() const { return batch * heads; }
  STARLING_DEVICE constexpr Index chunks() const { return quotient_up(length, side); }
  STARLING_DEVICE constexpr Index key_tiles() const { return quotient_up(k.width, side); }
  STARLING_DEVICE constexpr Index value_tiles() const { return quotient_up(v.width, side); }
};

/// Which chunk a block works at.
struct ChunkPlace {
  Index row;  ///< of batch × heads
  Index batch;
  Index head;
  Index chunk;
  Index first;  ///< token
  int count;    ///< tokens
  Index part;

  STARLING_DEVICE static ChunkPlace of(Index index, Index parts, Index chunks, bool backwards, Index heads, Index length, int side) {
    ChunkPlace p{};
    p.part = index % parts;
    p.chunk = index / parts % chunks;
    if (backwards) p.chunk = quotient_up(length, side) - 1 - p.chunk;
    p.row = index / parts / chunks;
    p.batch = p.row / heads;
    p.head = p.row % heads;
    p.first = p.chunk * side;
    p.count = static_cast<int>(least(side, length - p.first));
    return p;
  }
};

/// Elements of φ, of rows with a factor each, or as they are.
template <ChunkForm form, class C>
struct KeyMap {
  STARLING_DEVICE C operator()(int, int, C x) const {
    if constexpr (form != ChunkForm::normalised) return x;
    const C power = exponential(x);  // a branch would cost more
    return x > C(0) ? x + C(1) : power;
  }
};
/// φ' from φ, which is above 1 where the slope is 1 and else the slope itself.
template <class C>
STARLING_DEVICE C feature_slope(C feature) {
  return feature > C(1) ? C(1) : feature;
}
template <class C>
struct ScaledMap {
  const C* factor;  // null: none
  STARLING_DEVICE C operator()(int row, int, C x) const { return factor ? x * factor[row] : x; }
};
template <class C>
struct SameMap {
  STARLING_DEVICE C operator()(int, int, C x) const { return x; }
};
template <class C>
struct DecayMap {
  STARLING_DEVICE C operator()(int, int, C x) const { return exponential(x); }
};

/// Decays of a chunk's tokens per head, 1 behind the last. A barrier must follow.
template <class T>
STARLING_DEVICE void head_decays(const Block& block, const ChunkInputs<T>& a, const ChunkPlace& p, Compute<T>* decay) {
  using C = Compute<T>;
  if (block.thread >= Tile<C>::side) return;
  const auto rows = a.log_decay.of(p.batch, p.head, p.first, p.count);
  decay[block.thread] = block.thread < p.count ? exponential(rows.data[block.thread * rows.stride]) : C(1);
}

/// From before the chunk to behind token `token`, or from there to the chunk's end.
template <class C>
STARLING_DEVICE C decay_until(const C* decay, int token) {
  C product = C(1);
  for (int s = 0; s < Tile<C>::side; ++s)
    if (s <= token) product *= decay[s];
  return product;
}
template <class C>
STARLING_DEVICE C decay_from(const C* decay, int token) {
  C product = C(1);
  for (int s = 0; s < Tile<C>::side; ++s)
    if (s > token) product *= decay[s];
  return product;
}

/// to[i][j] = Π decay[s], j < s ≤ i; a thread for a column j. Nothing above the diagonal.
template <class C>
STARLING_DEVICE void decays_between(const Block& block, const C* decay, Tile<C> to) {
  const int j = block.thread;
  if (j >= Tile<C>::side) return;
  C product = C(1);
  for (int i = 0; i < Tile<C>::side; ++i) {
    if (i > j) product *= decay[i];
    if (i >= j) to.at(i, j) = product;
  }
}

/// tile[i] ⊙= Π decay[s] over s ≤ i, or over s > i where `to_end`; a thread for a column. Returns the product over the chunk.
template <class C>
STARLING_DEVICE C scale_channels(const Block& block, Tile<C> decay, int count, bool to_end, Tile<C> tile) {
  C product = C(1);
  const int column = block.thread;
  if (column >= Tile<C>::side) return product;
  for (int n = 0; n < count; ++n) {
    const int i = to_end ? count - 1 - n : n;
    const C kept = decay.at(i, column);
    if (!to_end) product *= kept;
    tile.at(i, column) *= product;
    if (to_end) product *= kept;
  }
  return product;
}

/// weights[i][j] += Σ q[i] ⊙ decay(j → i) ⊙ k[j] over a tile's channels, j ≤ i < count; the first tile sets them. A thread carries its
/// part of the key of a column j from token to token.
template <class C>
STARLING_DEVICE void add_weights_by_channel(const Block& block, Tile<C> q, Tile<C> k, Tile<C> decay, int count, bool set, Tile<C> weights) {
  using Of = Tile<C>;
  constexpr int parts = tile_threads<C> / Of::side, bundles = Of::side / Of::bundle / parts;
  const int j = block.thread / parts, part = block.thread % parts;
  const auto channel = [&](int b) { return (b * parts + part) * Of::bundle; };
  C carried[bundles][Of::bundle];
  for (int b = 0; b < bundles; ++b) load<Of::bundle>(k.row(j) + channel(b), carried[b]);
  // Whole warps meet in the sum.
  for (int i = (block.thread - block.lane()) / parts; i < count; ++i) {
    C sum = C(0);
    if (i >= j) {
      for (int b = 0; b < bundles; ++b) {
        C kept[Of::bundle], asked[Of::bundle];
        load<Of::bundle>(decay.row(i) + channel(b), kept);
        load<Of::bundle>(q.row(i) + channel(b), asked);
        for (int n = 0; n < Of::bundle; ++n) {
          if (i > j) carried[b][n] *= kept[n];
          sum += asked[n] * carried[b][n];
        }
      }
    }
    for (int mask = parts / 2; mask > 0; mask /= 2) sum += block.across(sum, mask);
    if (part == 0 && i >= j) weights.at(i, j) = set ? sum : weights.at(i, j) + sum;
  }
}

/// Shared memory: tiles, then `vectors` of a number per token or channel.
template <class C>
struct ChunkMemory {
  unsigned char* shared;
  int tiles;

  static constexpr std::size_t bytes(int tiles, int vectors) {
    return sizeof(C) * static_cast<std::size_t>(tiles * Tile<C>::elements + vectors * Tile<C>::side);
  }
  STARLING_DEVICE Tile<C> tile(int i) const { return {reinterpret_cast<C*>(shared) + i * Tile<C>::elements}; }
  STARLING_DEVICE C* vector(int i) const { return reinterpret_cast<C*>(shared) + tiles * Tile<C>::elements + i * Tile<C>::side; }
};

/// What the chunks add to the state, Σ (k ⊙ decay to the end) vᵀ, or, backwards, to its gradient, Σ (q ⊙ decay from the start) dyᵀ;
/// and their decays. For the first `ends` chunks in the order of the scan.
template <class T, ChunkForm form, bool backwards>
struct ChunkEnds {
  using C = Compute<T>;
  using Of = Tile<C>;
  static constexpr bool by_channel = form == ChunkForm::channel_decay, by_head = form == ChunkForm::head_decay;
  ChunkInputs<T> a;
  C* states;  ///< (batch, heads, chunks, key_width, columns)
  C* decays;  ///< (batch, heads, chunks, 1 or key_width)
  Index ends;

  static constexpr int threads = tile_threads<C>;
  static constexpr int blocks_at_once = 6;
  Index parts() const { return a.key_tiles() * a.value_tiles(); }
  Index blocks() const { return a.rows() * ends * parts(); }
  static constexpr std::size_t shared_bytes() { return ChunkMemory<C>::bytes(2, 2); }

  STARLING_DEVICE void operator()(Block& block) const {
    const ChunkMemory<C> memory{block.shared, 2};
    const Tile<C> left = memory.tile(0), right = memory.tile(1);
    C *const decay = memory.vector(0), *const factor = memory.vector(1);
    const auto p = ChunkPlace::of(block.index, a.key_tiles() * a.value_tiles(), ends, backwards, a.heads, a.length, Of::side);
    const Index key = p.part / a.value_tiles() * Of::side, value = p.part % a.value_tiles() * Of::side;
    const Index place = p.row * a.chunks() + p.chunk;
    const auto keys = (backwards ? a.q : a.k).of(p.batch, p.head, p.first, p.count, key);
    const auto values = (backwards ? a.dy : a.v).of(p.batch, p.head, p.first, p.count, value);

    if constexpr (by_head) {
      head_decays(block, a, p, decay);
      block.wait();
      if (block.thread < Of::side) factor[block.thread] = backwards ? decay_until(decay, block.thread) : decay_from(decay, block.thread);
      if (p.part == 0 && block.thread == 0) decays[place] = decay_until(decay, Of::side - 1);
      block.wait();
      fill(block, keys, left, ScaledMap<C>{factor});
    } else {
      fill(block, keys, left, KeyMap<form, C>{});
    }
    if constexpr (by_channel) {
      fill(block, a.log_decay.of(p.batch, p.head, p.first, p.count, key), right, DecayMap<C>{});
      block.wait();
      const C product = scale_channels(block, right, p.count, !backwards, left);
      if (value == 0 && block.thread < Of::side && key + block.thread < a.k.width) decays[place * a.k.width + key + block.thread] = product;
      block.wait();
    }
    if constexpr (form == ChunkForm::normalised && backwards) {
      if (block.thread < p.count) factor[block.thread] = a.inverse_norm[p.row * a.length + p.first + block.thread];
      block.wait();
      fill(block, values, right, ScaledMap<C>{factor});
    } else {
      fill(block, values, right, SameMap<C>{});
    }
    block.wait();
    const auto me = TilePlace<C>::of(block);
    TileSums<C> sums{};
    constexpr bool exact_left = exact_rows<T> && form == ChunkForm::plain, exact_right = backwards ? exact_keys<T, form> : exact_rows<T>;
    add_outer<exact(exact_left, exact_right)>(block, left, right, p.count, within(me, a.k.width - key, a.v.width - value), sums);
    C* const to = states + (place * a.k.width + key) * a.columns;
    write(TileRows<C>{to + value, a.columns, a.k.width - key, a.v.width - value, a.columns % Of::bundle == 0}, me, sums);
    if constexpr (form == ChunkForm::normalised) {
      if (value != 0 || block.thread >= Of::side || key + block.thread >= a.k.width) return;
      C sum = C(0);
      for (int t = 0; t < p.count; ++t)
        sum += left.at(t, block.thread) * (backwards ? a.norm_gradient[p.row * a.length + p.first + t] : C(1));
      to[block.thread * a.columns + a.v.width] = sum;
    }
  }
};

/// From what chunks add to what they begin with, in place, a thread for a number of the state, in the order of the scan.
template <class C>
struct CarryChunks {
  C* states;                 ///< (rows, chunks, key_width, columns)
  const C* decays;           ///< (rows, chunks, decay_width)
  Index decay_width;         ///< 0: no decay
  const C* initial;          ///< (rows, key_width, value_width) or null for zero
  const C* initial_key_sum;  ///< (rows, key_width), of the column behind, or null for zero
  C* final;                  ///< likewise, null where not wanted
  C* final_key_sum;
  Index rows;
  Index chunks;
  Index ends;  ///< chunks whose end is known, of the first ones
  Index key_width;
  Index value_width;
  Index columns;
  bool backwards;

  static constexpr int threads = 128;
  static constexpr int under_way = 8;
  Index blocks() const { return quotient_up(rows * key_width * columns, threads); }
  static constexpr std::size_t shared_bytes() { return 0; }

  STARLING_DEVICE void operator()(Block& block) const {
    const Index elements = key_width * columns, row = block.item() / elements, element = block.item() % elements;
    if (row >= rows) return;
    const Index key = element / columns, column = element % columns;
    const bool of_values = column < value_width;
    const C* const from = of_values ? initial : initial_key_sum;
    C* const to = of_values ? final : final_key_sum;
    const Index outside = of_values ? (row * key_width + key) * value_width + column : row * key_width + key;
    const auto place = [&](Index n) { return row * chunks + (backwards ? chunks - 1 - n : n); };
    C state = from ? from[outside] : C(0);
    for (Index first = 0; first < chunks; first += under_way) {
      C end[under_way] = {}, kept[under_way] = {};
      for (int i = 0; i < under_way; ++i) {
        if (first + i >= ends) break;
        end[i] = states[place(first + i) * elements + element];
        kept[i] = decay_width > 0 ? decays[place(first + i) * decay_width + (decay_width > 1 ? key : 0)] : C(1);
      }
      for (int i = 0; i < under_way; ++i) {
        if (first + i >= chunks) break;
        states[place(first + i) * elements + element] = state;
        state = kept[i] * state + end[i];
      }
    }
    if (to) to[outside] = state;
  }
};

/// What chunks send out: y, or, backwards, dv. `groups` blocks share the tiles of a chunk's values.
template <class T, ChunkForm form, bool backwards>
struct ChunkOutputs {
  using C = Compute<T>;
  using Of = Tile<C>;
  static constexpr bool by_channel = form == ChunkForm::channel_decay, by_head = form == ChunkForm::head_decay;
  static constexpr bool normalised = form == ChunkForm::normalised;
  static constexpr int tiles = by_channel ? 4 : 3;
  ChunkInputs<T> a;
  const C* states;   ///< those that chunks begin with, in the order of the scan
  bool first_state;  ///< whether the first one is other than zero
  HeadRows<T> out;
  C* inverse_norm;  ///< (batch, heads, length) or null
  Index groups;

  static constexpr int threads = tile_threads<C>;
  static constexpr int blocks_at_once = 3;
  Index blocks() const { return a.rows() * a.chunks() * groups; }
  static constexpr std::size_t shared_bytes() { return ChunkMemory<C>::bytes(tiles, 2); }

  STARLING_DEVICE void operator()(Block& block) const {
    const ChunkMemory<C> memory{block.shared, tiles};
    const Tile<C> weights = memory.tile(0), left = memory.tile(1), right = memory.tile(2), by_channels = memory.tile(tiles - 1);
    C *const decay = memory.vector(0), *const factor = memory.vector(1);
    const auto p = ChunkPlace::of(block.index, groups, a.chunks(), backwards, a.heads, a.length, Of::side);
    const Index origin = backwards ? a.chunks() - 1 : 0;
    const bool has_state = p.chunk != origin || first_state;
    const C* const state = has_state ? states + (p.row * a.chunks() + p.chunk) * a.k.width * a.columns : nullptr;
    const auto me = TilePlace<C>::of(block);
    const auto keys = [&](bool of_q, Index key) { return (of_q ? a.q : a.k).of(p.batch, p.head, p.first, p.count, key); };
    const auto channel_decays = [&](Index key) {
      fill(block, a.log_decay.of(p.batch, p.head, p.first, p.count, key), by_channels, DecayMap<C>{});
    };

    if constexpr (by_head) {
      head_decays(block, a, p, decay);
      block.wait();
      decays_between(block, decay, weights);
      if (block.thread < Of::side) factor[block.thread] = backwards ? decay_from(decay, block.thread) : decay_until(decay, block.thread);
    }
    TileSums<C> sums{};
    for (Index key = 0; key < a.k.width; key += Of::side) {
      fill(block, keys(true, key), left, KeyMap<form, C>{});
      fill(block, keys(false, key), right, KeyMap<form, C>{});
      if constexpr (by_channel) channel_decays(key);
      block.wait();
      if constexpr (by_channel)
        add_weights_by_channel(block, left, right, by_channels, p.count, key == 0, weights);
      else
        add_dots<exact(exact_keys<T, form>, exact_keys<T, form>)>(block, left, right, width_of(key), within(me, p.count, p.count), sums);
      if constexpr (normalised && !backwards)
        add_norms(block, left, state ? state + key * a.columns : nullptr, width_of(key), key == 0, factor);
      block.wait();
    }
    if constexpr (!by_channel) {
      for (int r = 0; r < me.rows; ++r)
        for (int n = 0; n < me.columns; ++n) {
          C& at = weights.at(me.row(r), me.column(n));
          at = by_head ? at * sums.of[r][n] : sums.of[r][n];
        }
    }
    if constexpr (normalised && backwards) {
      if (block.thread < p.count) factor[block.thread] = a.inverse_norm[p.row * a.length + p.first + block.thread];
    }
    block.wait();
    if constexpr (normalised && !backwards) invert_norms(block, p, weights, factor);

    for (Index value = p.part * Of::side; value < a.v.width; value += groups * Of::side) {
      sums = {};
      const auto mine = within(me, p.count, a.v.width - value);
      for (Index key = 0; has_state && key < a.k.width; key += Of::side) {
        if (backwards || by_channel || a.k.width > Of::side) fill(block, keys(!backwards, key), left, KeyMap<form, C>{});
        if constexpr (by_channel) {
          channel_decays(key);
          block.wait();
          scale_channels(block, by_channels, p.count, backwards, left);
        }
        fill(block,
             TileRows<const C>{state + key * a.columns + value, a.columns, a.k.width - key, a.v.width - value, a.columns % Of::bundle == 0},
             right, SameMap<C>{});
        block.wait();
        add_rows<exact(exact_keys<T, form> && !by_channel, false)>(block, left, right, width_of(key), mine, sums);
        block.wait();
      }
      if constexpr (by_head) scale_rows(factor, me, sums);
      const auto values = (backwards ? a.dy : a.v).of(p.batch, p.head, p.first, p.count, value);
      fill(block, values, right, ScaledMap<C>{normalised && backwards ? factor : nullptr});
      block.wait();
      if constexpr (backwards)
        add_later<exact(false, exact_keys<T, form>)>(block, weights, right, p.count, mine, sums);
      else
        add_earlier<exact(false, exact_rows<T>)>(block, weights, right, mine, sums);
      if constexpr (normalised && !backwards) scale_rows(factor, me, sums);
      write(out.of(p.batch, p.head, p.first, p.count, value), me, sums);
      block.wait();
    }
  }

 private:
  STARLING_DEVICE int width_of(Index key) const { return static_cast<int>(least(Of::side, a.k.width - key)); }

  /// norm[i] += q_i · z, of a tile's channels; the first tile sets it. A warp for a token.
  STARLING_DEVICE void add_norms(const Block& block, Tile<C> q, const C* state, int width, bool set, C* norm) const {
    for (int row = block.thread / warp; row < Of::side; row += threads / warp) {
      C sum = C(0);
      for (int k = block.lane(); state && k < width; k += warp) sum += q.at(row, k) * state[k * a.columns + a.v.width];
      sum = block.warp_sum(sum);
      if (block.lane() == 0) norm[row] = set ? sum : norm[row] + sum;
    }
  }
  /// norm[i] = 1 / (norm[i] + Σ_{j ≤ i} weights[i][j]), kept where the backward pass wants it.
  STARLING_DEVICE void invert_norms(const Block& block, const ChunkPlace& p, Tile<C> weights, C* norm) const {
    for (int row = block.thread / warp; row < Of::side; row += threads / warp) {
      C sum = C(0);
      for (int j = block.lane(); j <= row; j += warp) sum += weights.at(row, j);
      sum = block.warp_sum(sum);
      if (block.lane() != 0) continue;
      norm[row] = C(1) / (norm[row] + sum);
      if (inverse_norm && p.part == 0 && row < p.count) inverse_norm[p.row * a.length + p.first + row] = norm[row];
    }
  }
};

/// How many blocks share the tiles of one chunk, so that few chunks keep a device busy too.
constexpr Index tile_groups(Index chunks, Index tiles) {
  constexpr Index blocks_wanted = 512;
  const Index groups = blocks_wanted / (chunks > 0 ? chunks : 1);
  return groups < 1 ? 1 : least(groups, tiles);
}

}  // namespace starling::kernels::device
