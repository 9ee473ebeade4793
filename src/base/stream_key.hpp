// What is inside a stream, for those that make its numbers in another place than one after the other.
#pragma once

#include <array>
#include <cstdint>

#include <starling/base/random.hpp>

namespace starling {

/// Number n of Stream(seed, purpose, index, attempt) is word n mod 4 of philox({low and high half of ⌊n / 4⌋, of index}, key).
std::array<std::uint32_t, 2> stream_key(std::uint64_t seed, Purpose purpose, std::uint32_t attempt);

}  // namespace starling
