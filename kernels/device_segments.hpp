// Sequences cut into segments that threads carry side by side.
#pragma once

#include <starling/kernels/device.hpp>

namespace starling::kernels::device {

/// How sequences are cut: `count` pieces of `length` tokens, the last one of what is left.
struct Segments {
  Index count;
  Index length;
};

/// For `rows` sequences with a thread each: 64 Ki threads with several loads under way are what the memory of an H100 asks for.
/// No piece but a whole sequence is shorter than `shortest`.
constexpr Segments segments_of(Index rows, Index length, Index shortest) {
  constexpr Index threads_wanted = Index{1} << 16;
  Index count = quotient_up(threads_wanted, rows > 0 ? rows : 1);
  if (count > length / shortest) count = length / shortest;
  if (count < 1) count = 1;
  const Index each = quotient_up(length, count);
  return {each > 0 ? quotient_up(length, each) : 1, each};
}

/// The same with pieces of whole chunks.
constexpr Segments segments_of_chunks(Index rows, Index length, Index chunk) {
  const Index each = quotient_up(segments_of(rows, length, chunk).length, chunk) * chunk;
  return {each > 0 ? quotient_up(length, each) : 1, each};
}

/// Tokens of a segment.
struct Span {
  Index begin;
  Index end;
};
/// `segment` counts in the order of a scan, which may run backwards.
STARLING_DEVICE constexpr Span span_of(const Segments& segments, Index segment, Index length, bool backwards) {
  const Index at = backwards ? segments.count - 1 - segment : segment;
  return {at * segments.length, least((at + 1) * segments.length, length)};
}

/// What segments of a scan pass on: the state before each segment in the order of the scan, and of what a segment makes of a state
/// s, product · s + end, the two numbers. All (batch, segments, channels).
template <class C>
struct SegmentStates {
  C* before;
  C* product;
  C* end;
};

template <class C, class Launcher>
SegmentStates<C> segment_states(Index batch, const Segments& segments, Index channels, Launcher& launcher) {
  const Index elements = batch * segments.count * channels;
  C* const memory = launcher.template scratch<C>(3 * elements);
  return {memory, memory + elements, memory + 2 * elements};
}

/// The states between segments, one thread for a channel. first: (batch, channels) or null.
template <class C>
struct CarrySegments {
  SegmentStates<C> states;
  const C* first;
  Index batch;
  Index segments;
  Index channels;

  static constexpr int threads = 128;
  Index blocks() const { return quotient_up(batch * channels, threads); }
  static constexpr std::size_t shared_bytes() { return 0; }

  STARLING_DEVICE void operator()(Block& block) const {
    const Index sequence = block.item() / channels, channel = block.item() % channels;
    if (sequence >= batch) return;
    C state = first ? first[sequence * channels + channel] : C(0);
    for (Index segment = 0; segment < segments; ++segment) {
      const Index at = (sequence * segments + segment) * channels + channel;
      states.before[at] = state;
      if (segment + 1 < segments) state = states.product[at] * state + states.end[at];
    }
  }
};

/// Where a thread works: channels from `channel` on of one segment of one sequence; neighbours have neighbouring channels.
struct SegmentPlace {
  Index batch;
  Index segment;
  Index channel;

  /// Item of batch × segments × (channels / n).
  template <int n>
  STARLING_DEVICE static SegmentPlace of(Index item, Index segments, Index channels) {
    const Index groups = channels / n;
    return {item / groups / segments, item / groups % segments, item % groups * n};
  }
};

}  // namespace starling::kernels::device
