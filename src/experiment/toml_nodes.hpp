// How messages show what was found in a file.
#pragma once

#include <toml++/toml.h>

#include <string>
#include <string_view>

namespace starling::experiment {

/// Messages stay readable whatever stands in the file.
std::string clipped(std::string_view text);
/// "the string \"x\"", "the integer 3", "a list".
std::string found_text(const toml::node& node);

}  // namespace starling::experiment
