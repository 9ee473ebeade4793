// LibTorch's memory on the processor, counted and bounded. For a test program of its own: the allocator holds for the whole process.
#pragma once

#include <c10/core/Allocator.h>
#include <c10/core/CPUAllocator.h>
#include <c10/util/Exception.h>

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <limits>
#include <new>

namespace starling {

class CountingAllocator final : public c10::Allocator {
 public:
  /// The one in use from the first call on.
  static CountingAllocator& installed() {
    static CountingAllocator* const allocator = [] {
      auto* const made = new CountingAllocator;  // LibTorch keeps it to the end
      c10::SetCPUAllocator(made, /*priority=*/100);
      return made;
    }();
    return *allocator;
  }

  /// Bytes that tensors hold now, and the most since the last call of start().
  std::size_t live() const { return live_; }
  std::size_t peak() const { return peak_; }
  void start() const { peak_ = live_; }

  /// More than `limit` bytes at once are refused from here on; `fail` throws, as LibTorch's own allocator does unless it is given.
  void limit(std::size_t limit, std::function<void()> fail = {}) const {
    limit_ = limit;
    fail_ = std::move(fail);
    refusals_ = 0;
  }
  void unlimited() const { limit(std::numeric_limits<std::size_t>::max()); }
  int refusals() const { return refusals_; }

  // LibTorch 1.13 asks for the first of these two, 2.x for the second and for copy_data.
  c10::DataPtr allocate(std::size_t bytes) const { return take(bytes); }
  c10::DataPtr allocate(std::size_t bytes) { return take(bytes); }
  c10::DeleterFnPtr raw_deleter() const override { return &release; }
  void copy_data(void* to, const void* from, std::size_t bytes) const { std::memcpy(to, from, bytes); }

 private:
  static constexpr std::size_t header = 64;  // holds the size, and keeps the alignment that LibTorch gives

  c10::DataPtr take(std::size_t bytes) const {
    if (bytes > limit_ || live_ > limit_ - bytes) {
      ++refusals_;
      if (fail_) fail_();
      TORCH_CHECK(false, "DefaultCPUAllocator: can't allocate memory: you tried to allocate ", bytes, " bytes.");
    }
    auto* const base = static_cast<char*>(std::aligned_alloc(header, header + (bytes + header - 1) / header * header));
    if (!base) throw std::bad_alloc();
    std::memcpy(base, &bytes, sizeof bytes);
    live_ += bytes;
    peak_ = std::max(peak_, live_);
    return {base + header, base + header, &release, c10::Device(c10::DeviceType::CPU)};
  }

  static void release(void* data) {
    if (!data) return;
    char* const base = static_cast<char*>(data) - header;
    std::size_t bytes = 0;
    std::memcpy(&bytes, base, sizeof bytes);
    live_ -= bytes;
    std::free(base);
  }

  inline static std::size_t live_ = 0;
  inline static std::size_t peak_ = 0;
  inline static std::size_t limit_ = std::numeric_limits<std::size_t>::max();
  inline static std::function<void()> fail_;
  inline static int refusals_ = 0;
};

/// No bound any longer at the end of the scope.
class MemoryLimit {
 public:
  explicit MemoryLimit(std::size_t bytes, std::function<void()> fail = {}) { CountingAllocator::installed().limit(bytes, std::move(fail)); }
  ~MemoryLimit() { CountingAllocator::installed().unlimited(); }
  MemoryLimit(const MemoryLimit&) = delete;
  MemoryLimit& operator=(const MemoryLimit&) = delete;
};

}  // namespace starling
