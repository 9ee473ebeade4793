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
