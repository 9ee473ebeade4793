// What was checked out when this was built.
#pragma once

namespace starling::tools {

/// Twelve digits, with "-dirty" where files differed from them; "unknown" outside a repository. Defined in a source that every build
/// brings up to date (cmake/GitCommit.cmake).
extern const char* const git_commit;

}  // namespace starling::tools
