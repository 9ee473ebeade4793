// Counts the roles that are alive, so that a test can prove that none outlives its engine.
#pragma once

#include <atomic>
#include <cstddef>

namespace starling::actors {

/// A member of every role's state: one more with each construction, one fewer with each destruction.
class RoleCount {
 public:
  RoleCount() { ++alive_; }
  RoleCount(const RoleCount&) { ++alive_; }
  RoleCount& operator=(const RoleCount&) = default;
  ~RoleCount() { --alive_; }

  static std::size_t alive() { return alive_; }

 private:
  static inline std::atomic<std::size_t> alive_{0};
};

}  // namespace starling::actors
