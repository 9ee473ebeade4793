// The byte-level vocabulary: token b is the byte b, and one more stands before every document.
#pragma once

#include <cstdint>

namespace starling {

inline constexpr std::uint16_t byte_separator = 256;
inline constexpr std::int64_t byte_vocabulary = 257;

}  // namespace starling
