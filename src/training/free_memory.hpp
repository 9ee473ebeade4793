// How much memory a process may still take. No Torch.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>

namespace starling::training {

/// What the system has available (MemAvailable), or less where a control group of this process, of version 1 or 2, or one above it has a
/// limit; pages that a group merely caches count as free. Nothing where the system does not say. `root` is where proc and sys are.
std::optional<std::int64_t> available_memory_bytes(const std::filesystem::path& root = "/");

/// The same with what this process has taken and does not use: its allocator gives nothing back (tune_process()).
std::optional<std::int64_t> free_memory_bytes();

}  // namespace starling::training
