// Compressed texts for the tests.
#pragma once

#include <string>

namespace starling::tasks {

std::string gzip(const std::string& text);
std::string zstandard(const std::string& text);

}  // namespace starling::tasks
