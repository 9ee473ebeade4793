// CRC-32C (Castagnoli, reflected polynomial 0x82f63b78), the checksum of journal records and checkpoint files.
#pragma once

#include <cstddef>
#include <cstdint>

namespace starling::run {

/// Checksum of `bytes` bytes; pass the result of the bytes before as `crc` to go on. crc32c("123456789") = 0xe3069283.
std::uint32_t crc32c(const void* data, std::size_t bytes, std::uint32_t crc = 0);

/// The same by table (slicing-by-8), for processors without the instruction.
std::uint32_t crc32c_portable(const void* data, std::size_t bytes, std::uint32_t crc = 0);

}  // namespace starling::run
