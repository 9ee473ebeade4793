// Programs that stand beside this one.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace starling::tools {

/// The program `name` in the directory of the running one, whatever way it was started. Throws Failure with what to do
/// where it is not there.
std::filesystem::path sibling_program(std::string_view name);

/// Runs a program to its end with our standard streams. Returns its exit code; throws Failure where it cannot be
/// started or a signal ends it.
int run_program(const std::filesystem::path& program, const std::vector<std::string>& arguments);

/// The same, but what it writes to standard output goes to `output`, and it reads `input`, of any length, where that is given.
int run_program(const std::filesystem::path& program, const std::vector<std::string>& arguments, std::string& output,
                std::optional<std::string_view> input = {});

/// The same, but `hear` is called with what it writes as it comes, in pieces of any size. Where that throws, the program is waited for (its
/// pipe is closed) and the exception goes on.
int run_program(const std::filesystem::path& program, const std::vector<std::string>& arguments,
                const std::function<void(std::string_view)>& hear, std::optional<std::string_view> input = {});

}  // namespace starling::tools
