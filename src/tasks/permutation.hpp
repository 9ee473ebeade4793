// A permutation of 0 … n−1 that is computed, not stored: a Feistel network on the smallest even number of bits that holds n, walked along
// its cycle until it lands below n (Black and Rogaway, "Ciphers with arbitrary finite domains", CT-RSA 2002). Sample order of any data size
// in O(1) memory, and resuming needs nothing but the position.
#pragma once

#include <array>
#include <bit>
#include <cstdint>

#include <starling/base/random.hpp>

namespace starling::tasks {

class Permutation {
 public:
  /// Of 0 … size−1, size ≥ 1. Draws its round keys from the stream.
  Permutation(std::uint64_t size, Stream& stream)
      : size_(size), half_bits_(static_cast<int>(std::bit_width(size - 1) + 1) / 2), mask_((std::uint64_t{1} << half_bits_) - 1) {
    for (std::uint64_t& key : keys_) key = stream.next64();
  }

  std::uint64_t size() const { return size_; }

  /// Where position i < size goes. At most four rounds through the network on average.
  std::uint64_t operator()(std::uint64_t i) const {
    if (size_ == 1) return 0;
    do {
      i = encrypt(i);
    } while (i >= size_);
    return i;
  }

 private:
  // Eight rounds: with halves of one or two bits fewer leave visible structure.
  static constexpr int rounds = 8;

  std::uint64_t encrypt(std::uint64_t value) const {
    std::uint64_t left = value >> half_bits_;
    std::uint64_t right = value & mask_;
    for (const std::uint64_t key : keys_) {
      const std::uint64_t next = left ^ (scramble(right ^ key) & mask_);
      left = right;
      right = next;
    }
    return left << half_bits_ | right;
  }

  // SplitMix64's finaliser.
  static std::uint64_t scramble(std::uint64_t z) {
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
  }

  std::uint64_t size_;
  int half_bits_;
  std::uint64_t mask_;
  std::array<std::uint64_t, rounds> keys_{};
};

}  // namespace starling::tasks
