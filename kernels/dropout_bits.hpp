// What the forms of dropout share: eight neighbours have the bits of one block.
#pragma once

#include <starling/kernels/dropout.hpp>
#include <starling/kernels/philox.hpp>

namespace starling::kernels {

inline constexpr std::int64_t dropout_neighbours = 8;

/// Elements [8 · block, 8 · block + 8) of a sequence, as far as there are so many.
template <class T>
STARLING_DEVICE void drop(const Dropout<T>& a, std::int64_t sequence, std::int64_t block) {
  const auto index = static_cast<std::uint64_t>(a.first_sequence + sequence);
  const auto number = static_cast<std::uint64_t>(block);
  const PhiloxBlock bits = philox({{static_cast<std::uint32_t>(number), static_cast<std::uint32_t>(number >> 32),
                                    static_cast<std::uint32_t>(index), static_cast<std::uint32_t>(index >> 32)}},
                                  a.key[0], a.key[1]);
  const std::int64_t begin = sequence * a.elements + block * dropout_neighbours;
  const std::int64_t rest = a.elements - block * dropout_neighbours;
  for (std::int64_t i = 0; i < dropout_neighbours && i < rest; ++i) {
    const std::uint32_t word = bits.words[i / 2];
    const std::uint32_t own = i % 2 == 0 ? word & 0xffff : word >> 16;
    a.y[begin + i] = own < a.threshold ? T(0) : a.x[begin + i] * a.scale;
  }
}

}  // namespace starling::kernels
