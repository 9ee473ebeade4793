// Text files named by globs, and their division into a training, a validation and a test part. No Torch.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

namespace starling::tasks {

/// Regular files that match the globs: canonical paths, sorted bytewise, each once. `*`, `?` and `[…]` match within a path component and
/// never a leading dot; `**` as a whole component crosses any number of directories, each real directory once (so that circles of links
/// end). Throws UserError: a glob that matches no file, a name without wildcards that is a directory, a directory that cannot be listed.
std::vector<std::filesystem::path> find_files(const std::vector<std::string>& globs);

/// Which part of a division a file went to.
enum class Part { training = 0, validation = 1, test = 2 };

struct Corpus {
  std::array<std::vector<std::string>, 3> parts;  ///< by Part: the bytes of each document, never empty
  std::int64_t files = 0;                         ///< that text was taken from
  std::int64_t found = 0;                         ///< that the globs match

  std::vector<std::string>& part(Part which) { return parts[static_cast<std::size_t>(which)]; }
};

struct Division {
  std::int64_t max_bytes = 0;  ///< of all parts together; 0 = no cap
  double validation = 0.1;     ///< shares of the bytes
  double test = 0.1;
  std::uint64_t seed = 0;
};

/// Indices of the items that are taken when they come in `order` and each is taken that still fits into the budget.
std::vector<std::size_t> take_fitting(std::span<const std::size_t> order, std::span<const std::int64_t> sizes, std::int64_t budget);

/// Reads the files and divides them, all of it in one keyed order (seed, Purpose::data_split) of the sorted list:
///  - under a cap, each file that still fits is taken; files are taken whole, unless none fits: then the first one is cut to the cap;
///  - files with equal bytes count once, so that no text stands in two parts;
///  - validation, then test take each file that still fits into their share (or, where none does, the smallest); training has the rest, at
///  least one;
///  - where there are fewer files than parts, each file is cut into training, validation and test text, in this order.
/// A part with share 0 is empty. Throws UserError where a file cannot be read or there is no text at all.
Corpus read_corpus(const std::vector<std::string>& globs, const Division& division);

}  // namespace starling::tasks
