// The backward pass of matrix_chunks_device.hpp. With G the gradient of the state behind a chunk and P_ij = dy_i · v_j:
//   dq_i = S dy_i ⊙ decay(start → i) + Σ_{j ≤ i} P_ij decay(j → i) ⊙ k_j,
//   dk_j = G v_j ⊙ decay(j → end) + Σ_{i ≥ j} P_ij decay(j → i) ⊙ q_i,
//   dv_j = Gᵀ (k_j ⊙ decay(j → end)) + Σ_{i ≥ j} A_ij dy_i.
// A decay's gradient, Σ_{s ≥ t} (q_s ⊙ dq_s − k_s ⊙ dk_s), stops at the chunk's end: what later tokens add is Σ_x G ⊙ S' there, so that
// sums stay short however long the sequence, and no launch runs over it once more.
#pragma once

#include <starling/kernels/matrix_chunks_device.hpp>

namespace starling::kernels::device {

/// dq and dk, and the decays' gradient. `groups` blocks share the tiles of a chunk's keys (one where decays are per head).
template <class T, ChunkForm form>
struct ChunkKeyGradients {
  using C = Compute<T>;
  using Of = Tile<C>;
  static constexpr bool by_channel = form == ChunkForm::channel_decay, by_head = form == ChunkForm::head_decay;
  static constexpr bool normalised = form == ChunkForm::normalised;
  static constexpr int tiles = by_channel ? 4 : 3;
  ChunkInputs<T> a;
  const C* states;     ///< before chunks
  const C* gradients;  ///< of the states behind them
  bool first_state;    ///< whether the first one is other than zero
  HeadRows<T> dq;
  HeadRows<T> dk;
  HeadRows<C> dlog_decay;
  Index groups;

  static constexpr int threads = tile_threads<C>;
  static constexpr int blocks_at_once = 3;
  Index blocks() const { return a.rows() * a.chunks() * groups; }
  static constexpr std::size_t shared_bytes() { return ChunkMemory<C>::bytes(tiles, 5); }

  STARLING_DEVICE void operator()(Block& block) const {
    const ChunkMemory<C> memory{block.shared, tiles};
    const Tile<C> weights = memory.tile(0), left = memory.tile(1), right = memory.tile(2), by_channels = memory.tile(tiles - 1);
    // Where decays are per head: from the start and to the end, per token; else the norm's reciprocal and gradient.
    C *const decay = memory.vector(0), *const of_query = memory.vector(1), *const of_key = memory.vector(2);
    C *const later = memory.vector(3), *const sums_of_tokens = memory.vector(4);
    const auto p = ChunkPlace::of(block.index, groups, a.chunks(), false, a.heads, a.length, Of::side);
    const Index number = p.row * a.chunks() + p.chunk, size = a.k.width * a.columns;
    const C* const before = p.chunk > 0 || first_state ? states + number * size : nullptr;
    const C* const behind = p.chunk + 1 < a.chunks() ? gradients + number * size : nullptr;
    const auto me = TilePlace<C>::of(block);

    if constexpr (by_head) {
      head_decays(block, a, p, decay);
      block.wait();
      decays_between(block, decay, weights);
      if (block.thread < Of::side) {
        of_query[block.thread] = decay_until(decay, block.thread);
        of_key[block.thread] = decay_from(decay, block.thread);
        sums_of_tokens[block.thread] = C(0);
      }
    }
    if constexpr (normalised) {
      if (block.thread < Of::side) {
        const bool there = block.thread < p.count;
        const Index token = p.row * a.length + p.first + block.thread;
        of_query[block.thread] = there ? a.inverse_norm[token] : C(0);
        of_key[block.thread] = there ? a.norm_gradient[token] : C(0);
      }
      block.wait();
    }
    const auto fill_value_gradients = [&](Index value) {
      fill(block, a.dy.of(p.batch, p.head, p.first, p.count, value), left, ScaledMap<C>{normalised ? of_query : nullptr});
    };
    const auto fill_values = [&](Index value, Tile<C> to) {
      fill(block, a.v.of(p.batch, p.head, p.first, p.count, value), to, SameMap<C>{});
    };
    {
      TileSums<C> sums{};
      for (Index value = 0; value < a.v.width; value += Of::side) {
        fill_value_gradients(value);
        fill_values(value, right);
        block.wait();
        add_dots<exact(exact_keys<T, form>, exact_rows<T>)>(block, left, right, width_of(a.v.width, value), within(me, p.count, p.count),
                                                            sums);
        block.wait();
      }
      for (int r = 0; r < me.rows; ++r)
        for (int n = 0; n < me.columns; ++n) {
          C& at = weights.at(me.row(r), me.column(n));
          if constexpr (by_head)
            at *= sums.of[r][n];
          else
            at = normalised ? sums.of[r][n] + of_key[me.row(r)] : sums.of[r][n];
        }
    }
    for (Index key = p.part * Of::side; key < a.k.width; key += groups * Of::side) {
      const auto mine = within(me, p.count, a.k.width - key);
      TileSums<C> queries{}, keys{};
      if (block.thread < Of::side) later[block.thread] = C(0);
      for (Index value = 0; value < a.v.width; value += Of::side) {
        const int width = width_of(a.v.width, value);
        if (before) {
          fill_value_gradients(value);
          fill(block, state_rows(before, key, value), right, SameMap<C>{});
          block.wait();
          add_dots<exact(exact_keys<T, form>, false)>(block, left, right, width, mine, queries);
          block.wait();
        }
        if (behind) {
          fill_values(value, left);
          fill(block, state_rows(behind, key, value), right, SameMap<C>{});
          block.wait();
          add_dots<exact(exact_rows<T>, false)>(block, left, right, width, mine, keys);
          if constexpr (by_head || by_channel) add_later_decays(block, right, state_rows(states + (number + 1) * size, key, value), later);
          block.wait();
        }
      }
      if constexpr (by_head) {
        scale_rows(of_query, me, queries);
        scale_rows(of_key, me, keys);
      }
      fill(block, a.q.of(p.batch, p.head, p.first, p.count, key), left, KeyMap<form, C>{});
      fill(block, a.k.of(p.batch, p.head, p.first, p.count, key), right, KeyMap<form, C>{});
      if constexpr (by_channel) fill(block, a.log_decay.of(p.batch, p.head, p.first, p.count, key), by_channels, DecayMap<C>{});
      block.wait();
      if constexpr (by_channel) {
        carry_earlier(weights, right, by_channels, mine, queries);
        carry_later(weights, left, by_channels, p.count, mine, keys);
      } else {
        add_earlier<exact(false, exact_keys<T, form>)>(block, weights, right, mine, queries);
        add_later<exact(false, exact_keys<T, form>)>(block, weights, left, p.count, mine, keys);
      }
      if constexpr (normalised) add_norm_gradients(before, behind, key, of_key, left, right, me, queries, keys);
      write(dq.of(p.batch, p.head, p.first, p.count, key), me, queries);
      write(dk.of(p.batch, p.head, p.first, p.count, key), me, keys);
      block.wait();
      if constexpr (by_head || by_channel) {
        // Large and alike where the state forgets: subtracted before any sum.
        for (int r = 0; r < me.rows; ++r)
          for (int n = 0; n < me.columns; ++n) {
            C& at = left.at(me.row(r), me.column(n));
            at = at * queries.of[r][n] - right.at(me.row(r), me.column(n)) * keys.of[r][n];
          }
        block.wait();
        if constexpr (by_channel)
          write_channel_gradients(block, left, later, dlog_decay.of(p.batch, p.head, p.first, p.count, key));
        else
          add_channels(block, left, later, width_of(a.k.width, key), p.count, sums_of_tokens);
        block.wait();
      }
    }
    if constexpr (by_head) {
      if (block.thread >= p.count) return;
      C sum = C(0);
      for (int t = p.count - 1; t >= 0; --t)
        if (t >= block.thread) sum += sums_of_tokens[t];
      const auto to = dlog_decay.of(p.batch, p.head, p.first, p.count);
      to.data[block.thread * to.stride] = sum;
    }
  }

 private:
  STARLING_DEVICE static int width_of(Index width, Index from) { return static_cast<int>(least(Of::side, width - from)); }
  STARLING_DEVICE TileRows<const C> state_rows(const C* state, Index key, Index value) const {
    return {state + key * a.columns + value, a.columns, a.k.width - key, a.v.width - value, a.columns % Of::bundle == 0};
  }

  /// later[k] += Σ_x gradient[k][x] state[k][x]. A warp for a channel.
  STARLING_DEVICE void add_later_decays(const Block& block, Tile<C> gradient, const TileRows<const C>& state, C* later) const {
    for (int row = block.thread / warp; row < Of::side; row += threads / warp) {
      C sum = C(0);
      for (int x = block.lane(); row < state.count && x < least(Of::side, state.width); x += warp)
        sum += gradient.at(row, x) * state.data[row * state.stride + x];
      sum = block.warp_sum(sum);
      if (block.lane() == 0) later[row] += sum;
    }
  }

  /// Through the norm and the features to dq and dk.
  STARLING_DEVICE void add_norm_gradients(const C* before, const C* behind, Index key, const C* norm_gradient, Tile<C> q, Tile<C> k,
                                          const TilePlace<C>& me, TileSums<C>& queries, TileSums<C>& keys) const {
    for (int n = 0; n < me.columns; ++n) {
      const Index channel = key + me.column(n), at = channel * a.columns + a.v.width;
      const bool there = channel < a.k.width;
      const C z = there && before ? before[at] : C(0), w = there && behind ? behind[at] : C(0);
      for (int r = 0; r < me.rows; ++r) {
        queries.of[r][n] = (queries.of[r][n] + norm_gradient[me.row(r)] * z) * feature_slope(q.at(me.row(r), me.column(n)));
        keys.of[r][n] = (keys.of[r][n] + w) * feature_slope(k.at(me.row(r), me.column(n)));
      }
    }
  }

  /// From the last token; a thread for a channel.
  STARLING_DEVICE static void write_channel_gradients(const Block& block, Tile<C> terms, const C* later, const TileRows<C>& to) {
    if (block.thread >= least(Of::side, to.width)) return;
    C sum = later[block.thread];
    for (int t = static_cast<int>(to.count) - 1; t >= 0; --t) {
      sum += terms.at(t, block.thread);
      to.data[t * to.stride + block.thread] = sum;
    }
  }

  /// sums[t] += Σ terms[t] over channels, and what comes from later tokens to the last. A warp for a token.
  STARLING_DEVICE static void add_channels(const Block& block, Tile<C> terms, const C* later, int width, int count, C* sums) {
    for (int row = block.thread / warp; row < count; row += threads / warp) {
      C sum = C(0);
      for (int k = block.lane(); k < width; k += warp) sum += terms.at(row, k) + (row == count - 1 ? later[k] : C(0));
      sum = block.warp_sum(sum);
      if (block.lane() == 0) sums[row] += sum;
    }
  }
};

/// −(dy_t · y_t) / n_t, a warp for a token of a head.
template <class T>
struct NormGradients {
  using C = Compute<T>;
  HeadRows<const T> y;
  HeadRows<const T> dy;
  const C* inverse_norm;
  C* norm_gradient;
  Index rows;
  Index heads;
  Index length;

  static constexpr int threads = 128;
  Index blocks() const { return quotient_up(rows * length, threads / warp); }
  static constexpr std::size_t shared_bytes() { return 0; }

  STARLING_DEVICE void operator()(Block& block) const {
    // Heads of a token are neighbours in memory.
    const Index item = block.item() / warp, head = item % heads, token = item / heads % length, batch = item / heads / length;
    if (item >= rows * length) return;
    const auto outputs = y.of(batch, head, token, 1), gradients = dy.of(batch, head, token, 1);
    C sum = C(0);
    for (Index x = block.lane(); x < y.width; x += warp) sum += C(gradients.data[x]) * C(outputs.data[x]);
    sum = block.warp_sum(sum);
    const Index at = (batch * heads + head) * length + token;
    if (block.lane() == 0) norm_gradient[at] = -sum * inverse_norm[at];
  }
};

/// What chunks make of the state or, backwards, of its gradient, and what each begins with: null where all begin with zero.
template <ChunkForm form, bool backwards, class T, class Launcher>
Compute<T>* launch_states(const ChunkInputs<T>& a, CarryChunks<Compute<T>> carry, Launcher& launcher) {
  using C = Compute<T>;
  const Index chunks = a.chunks();
  const bool has_final = carry.final || carry.final_key_sum;
  if (chunks <= 1 && !has_final && !carry.initial && !carry.initial_key_sum) return nullptr;
  carry.states = launcher.template scratch<C>(a.rows() * chunks * a.k.width * a.columns);
  carry.decay_width = form == ChunkForm::head_decay ? 1 : form == ChunkForm::channel_decay ? a.k.width : 0;
  C* const decays = carry.decay_width > 0 ? launcher.template scratch<C>(a.rows() * chunks * carry.decay_width) : nullptr;
  carry.decays = decays;
  carry.rows = a.rows();
  carry.chunks = chunks;
  carry.ends = has_final || chunks == 0 ? chunks : chunks - 1;
  carry.key_width = a.k.width;
  carry.value_width = a.v.width;
  carry.columns = a.columns;
  carry.backwards = backwards;
  launcher.launch(ChunkEnds<T, form, backwards>{a, carry.states, decays, carry.ends});
  launcher.launch(carry);
  return carry.states;
}

template <ChunkForm form, class T, class Launcher>
void launch_chunks(const ChunkInputs<T>& a, const CarryChunks<Compute<T>>& carry, const HeadRows<T>& y, Compute<T>* inverse_norm,
                   Launcher& launcher) {
  const auto* const states = launch_states<form, false>(a, carry, launcher);
  launcher.launch(ChunkOutputs<T, form, false>{a, states, carry.initial || carry.initial_key_sum, y, inverse_norm,
                                               tile_groups(a.rows() * a.chunks(), a.value_tiles())});
}

template <ChunkForm form, class T, class Launcher>
void launch_chunk_gradients(const ChunkInputs<T>& a, const CarryChunks<Compute<T>>& carry, const HeadRows<T>& dq, const HeadRows<T>& dk,
                            const HeadRows<T>& dv, const HeadRows<Compute<T>>& dlog_decay, Launcher& launcher) {
  const auto* const states = launch_states<form, false>(a, carry, launcher);
  const auto* const gradients = launch_states<form, true>(a, {}, launcher);
  const Index chunks = a.rows() * a.chunks();
  const Index key_groups = form == ChunkForm::head_decay ? 1 : tile_groups(chunks, a.key_tiles());
  launcher.launch(ChunkKeyGradients<T, form>{a, states, gradients, carry.initial != nullptr, dq, dk, dlog_decay, key_groups});
  launcher.launch(ChunkOutputs<T, form, true>{a, gradients, false, dv, nullptr, tile_groups(chunks, a.value_tiles())});
}

}  // namespace starling::kernels::device
