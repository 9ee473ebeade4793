// Experiment files the tests start from.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include <starling/base/error.hpp>
#include <starling/experiment/experiment.hpp>

namespace starling::experiment {

/// As short as a file can be. Lines: 1 [budget], 3 [task], 7 [training].
inline const std::string language = R"([budget]
evaluations = 48
[task]
kind = "language-model"
files = ["/usr/include/caf/**/*.hpp"]
sequence_length = 256
[training]
tokens = 100_000
)";

inline const std::string mad = R"([budget]
evaluations = 48
[task]
kind = "mad"
name = "in-context-recall"
sequence_length = 128
[training]
tokens = 100_000
)";

/// The message of the UserError that parsing throws; a failed test and "" where it throws none.
inline std::string complaint(const std::string& toml, const std::vector<std::string>& overrides = {}) {
  try {
    parse(toml, "x.toml", overrides);
  } catch (const UserError& error) {
    return error.what();
  }
  ADD_FAILURE() << "was accepted:\n" << toml;
  return "";
}

/// `language` with one line more at its end, line 9, in section [training] unless the text opens another.
inline std::string complaint_about(const std::string& last_line) { return complaint(language + last_line + "\n"); }

}  // namespace starling::experiment
