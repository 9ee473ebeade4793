#include <starling/tasks/windows.hpp>

#include <algorithm>
#include <cassert>
#include <utility>

#include <starling/base/random.hpp>
#include <starling/tasks/permutation.hpp>

namespace starling::tasks {
namespace {

/// The recording that holds window i, and the number of the window in it.
std::pair<std::size_t, std::int64_t> find(const std::vector<std::int64_t>& ends, std::int64_t i) {
  const auto found = std::ranges::upper_bound(ends, i);
  const auto recording = static_cast<std::size_t>(found - ends.begin());
  return {recording, recording == 0 ? i : i - ends[recording - 1]};
}

}  // namespace

TrainingWindows::TrainingWindows(std::vector<std::int64_t> sizes, std::int64_t length) : sizes_(std::move(sizes)), length_(length) {
  std::int64_t windows = 0;
  for (const std::int64_t size : sizes_) {
    const std::int64_t here = size < 2 ? 0 : std::max<std::int64_t>(1, (size - length) / length);
    phases_.push_back(size > length ? size - here * length : 1);
    ends_.push_back(windows += here);
  }
}

void TrainingWindows::batch(std::uint64_t seed, std::int64_t step, std::int64_t sequences,
                            const std::function<void(const Window&)>& use) const {
  const std::int64_t windows = per_epoch();
  assert(windows > 0);
  std::int64_t position = step * sequences;
  std::vector<std::int64_t> phases(phases_.size());
  for (const std::int64_t end = position + sequences; position < end;) {
    const std::int64_t epoch = position / windows;
    Stream stream(seed, Purpose::data_order, static_cast<std::uint64_t>(epoch));
    for (std::size_t i = 0; i < phases.size(); ++i) {
      phases[i] = static_cast<std::int64_t>(stream.below(static_cast<std::uint64_t>(phases_[i])));
    }
    const Permutation order(static_cast<std::uint64_t>(windows), stream);
    for (; position < std::min(end, (epoch + 1) * windows); ++position) {
      const auto place = static_cast<std::int64_t>(order(static_cast<std::uint64_t>(position % windows)));
      const auto [recording, number] = find(ends_, place);
      const std::int64_t begin = phases[recording] + number * length_;
      use({recording, begin, std::min(length_ + 1, sizes_[recording] - begin)});
    }
  }
}

HeldOutWindows::HeldOutWindows(const std::vector<std::int64_t>& sizes, std::int64_t length, std::int64_t cap)
    : sizes_(sizes), length_(length), cap_(cap) {
  std::int64_t there = 0;
  std::int64_t predicted = 0;
  for (const std::int64_t size : sizes_) {
    const std::int64_t here = std::max<std::int64_t>(0, size - 1);
    ends_.push_back(there += (here + length - 1) / length);
    predicted += here;
  }
  if (cap_ >= predicted) cap_ = 0;
  windows_ = cap_ > 0 ? (cap_ + length - 1) / length : there;
  predicted_ = cap_ > 0 ? 0 : predicted;
  for (std::int64_t i = 0; cap_ > 0 && i < windows_; ++i) predicted_ += (*this)[i].predicted();
}

Window HeldOutWindows::at(std::int64_t i) const {
  const auto [recording, number] = find(ends_, i);
  const std::int64_t begin = number * length_;
  return {recording, begin, std::min(length_ + 1, sizes_[recording] - begin)};
}

Window HeldOutWindows::operator[](std::int64_t i) const {
  if (cap_ == 0) return at(i);
  Window window = at(i * ends_.back() / windows_);
  window.values = std::min(window.values, cap_ - i * length_ + 1);
  return window;
}

}  // namespace starling::tasks
