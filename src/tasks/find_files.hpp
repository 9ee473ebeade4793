// Files named by globs. No Torch.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace starling::tasks {

/// Regular files that match the globs: canonical paths, sorted bytewise, each once. `*`, `?` and `[…]` match within a path component and
/// never a leading dot; `**` as a whole component crosses any number of directories, each real directory once (so that circles of links
/// end). `asked_by` opens every message. Throws UserError: a glob that matches no file, a name without wildcards that is a directory, a
/// directory that cannot be listed.
std::vector<std::filesystem::path> find_files(const std::vector<std::string>& globs, const std::string& asked_by = "task.files");

}  // namespace starling::tasks
