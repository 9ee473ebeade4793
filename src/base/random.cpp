#include <starling/base/random.hpp>
#include <starling/base/stream_key.hpp>

#include <cmath>
#include <numbers>

namespace starling {
namespace {

// SplitMix64's finaliser: spreads (seed, purpose, attempt) over the key.
std::uint64_t mix(std::uint64_t z) {
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
  return z ^ (z >> 31);
}

}  // namespace

std::array<std::uint32_t, 4> philox(std::array<std::uint32_t, 4> counter, std::array<std::uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t a = std::uint64_t{0xD2511F53} * counter[0];
    const std::uint64_t b = std::uint64_t{0xCD9E8D57} * counter[2];
    counter = {static_cast<std::uint32_t>(b >> 32) ^ counter[1] ^ key[0], static_cast<std::uint32_t>(b),
               static_cast<std::uint32_t>(a >> 32) ^ counter[3] ^ key[1], static_cast<std::uint32_t>(a)};
    key[0] += 0x9E3779B9;
    key[1] += 0xBB67AE85;
  }
  return counter;
}

std::array<std::uint32_t, 2> stream_key(std::uint64_t seed, Purpose purpose, std::uint32_t attempt) {
  const std::uint64_t key = mix(mix(seed + 0x9e3779b97f4a7c15ull) ^ (std::uint64_t{static_cast<std::uint32_t>(purpose)} << 32 | attempt));
  return {static_cast<std::uint32_t>(key), static_cast<std::uint32_t>(key >> 32)};
}

Stream::Stream(std::uint64_t seed, Purpose purpose, std::uint64_t index, std::uint32_t attempt) : key_(stream_key(seed, purpose, attempt)) {
  counter_ = {0, 0, static_cast<std::uint32_t>(index), static_cast<std::uint32_t>(index >> 32)};
}

Stream::result_type Stream::operator()() {
  if (used_ == 4) {
    block_ = philox(counter_, key_);
    if (++counter_[0] == 0) ++counter_[1];
    used_ = 0;
  }
  return block_[used_++];
}

std::uint64_t Stream::next64() {
  const std::uint64_t low = (*this)();
  return low | std::uint64_t{(*this)()} << 32;
}

std::uint64_t Stream::below(std::uint64_t n) {
  __extension__ using Wide = unsigned __int128;
  Wide product = static_cast<Wide>(next64()) * n;
  if (static_cast<std::uint64_t>(product) < n) {
    const std::uint64_t threshold = (0 - n) % n;
    while (static_cast<std::uint64_t>(product) < threshold) product = static_cast<Wide>(next64()) * n;
  }
  return static_cast<std::uint64_t>(product >> 64);
}

double Stream::uniform() { return static_cast<double>(next64() >> 11) * 0x1.0p-53; }

double Stream::normal() {
  const double radius = std::sqrt(-2.0 * std::log(1.0 - uniform()));
  return radius * std::cos(2.0 * std::numbers::pi * uniform());
}

std::uint64_t derive_seed(std::uint64_t seed, Purpose purpose, std::uint64_t index) { return Stream(seed, purpose, index).next64(); }

}  // namespace starling
