// Errors that a user can cause and mend. Programmer errors are assertions.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace starling {

/// Bad input: what() is one complete message for a person ("quickstart.toml:12: unknown key …"). Programs print it and end with exit code 2.
class UserError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// The program could not do its work for a reason outside of its input (disk full, worker lost, damaged file). Exit code 1.
class Failure : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// The name of `known` with the smallest edit distance to `found` (a swap of neighbours counts 1), or "" where none is near enough to be a slip.
std::string nearest_name(std::string_view found, const std::vector<std::string>& known);

/// " (did you mean 'x'?)", or "" where nothing is near.
std::string did_you_mean(std::string_view found, const std::vector<std::string>& known);

}  // namespace starling
