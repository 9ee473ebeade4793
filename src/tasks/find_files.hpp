// Files named by globs. No Torch.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace starling::tasks {

/// Regular files that match the globs, each once, in the bytewise order of their canonical paths. A link to a file keeps its own name, which
/// says what the file holds (hubs and caches link "train.jsonl" to a blob without an extension); what leads to its directory is canonical.
/// `*`, `?` and `[…]` match within a path component and never a leading dot; `**` as a whole component crosses any number of directories,
/// each real directory once (so that circles of links end). A glob that is the path of a file stands for that file alone. `asked_by` opens
/// every message. Throws UserError: a glob that matches no file, a name without wildcards that is a directory, a directory that cannot be
/// listed.
std::vector<std::filesystem::path> find_files(const std::vector<std::string>& globs, const std::string& asked_by = "task.files");

}  // namespace starling::tasks
