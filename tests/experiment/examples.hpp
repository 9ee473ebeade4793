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

inline const std::string series = R"([budget]
evaluations = 48
[task]
kind = "series"
files = ["*.csv"]
sequence_length = 64
[training]
tokens = 100_000
)";

/// `language` with classes of its own. Lines of the rows: 9, 13, 22.
inline const std::string with_classes = language + R"([[class]]
id = 101
name = "Local"
operator = [1, 2, 2, 2, 3]
[[class]]
id = 102
name = "Mixed"
operator = [101, 2, 1, 4, 3]
groups = [
  {name = "q", token_mixing = 3, taps = 3},
  {name = "k", channel_mixing = 4, expansion = "2/8", repeat = 4},
  {name = "v", expansion = "1/2", repeat = 2, nonlinearity = 4},
]
[[class]]
id = 103
name = "Mixed-Diff"
operator = [101, 2, 2, 3, 3]
differential = true
definition = "T₁ − λ T₂"
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
