// The commands of `starling` but for `run`. Each prints its result on stdout and returns the exit code; bad input is a
// UserError, anything else a Failure.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace starling::tools {

/// Exit codes of every command.
namespace exit_code {
inline constexpr int done = 0;
inline constexpr int failed = 1;
inline constexpr int usage = 2;
inline constexpr int no_valid_result = 3;
}  // namespace exit_code

struct CheckArguments {
  std::filesystem::path experiment;
  std::vector<std::string> overrides;
  bool keys = false;  ///< list the keys of an experiment file instead
  bool json = false;
};
int check(const CheckArguments& arguments);

/// Where classes come from, and how far banded ones see.
struct ClassSource {
  std::string catalogue = "liquid";
  std::filesystem::path experiment;  ///< an experiment file, whose catalogue, [[class]] rows and band are then used; or empty
  std::optional<std::int64_t> band;
};

struct ClassesArguments {
  ClassSource source;
  std::optional<std::int64_t> width;   ///< the experiment's, or 768
  std::optional<std::int64_t> length;  ///< the experiment's, or 4096
  bool json = false;
};
int classes(const ClassesArguments& arguments);

struct DescribeArguments {
  std::string architecture;  ///< a genome in text form or the name of a baseline
  ClassSource source;
  // Where they are not given, the experiment's; without one width and length are required.
  std::optional<std::int64_t> width;
  std::optional<std::int64_t> depth;  ///< of a baseline; a genome has its own
  std::optional<std::int64_t> length;
  std::optional<std::int64_t> vocabulary;  ///< without an experiment that of bytes
  std::optional<std::int64_t> tokens;      ///< of a training, to say what it costs
  bool json = false;
};
int describe(const DescribeArguments& arguments);

struct ShowArguments {
  std::filesystem::path run;
  std::optional<std::uint64_t> candidate;
  bool json = false;
};
int show(const ShowArguments& arguments);

struct FrontArguments {
  std::filesystem::path run;
  bool json = false;
};
int front(const FrontArguments& arguments);

struct CompareArguments {
  std::vector<std::filesystem::path> runs;  ///< two or more
  bool json = false;
};
int compare(const CompareArguments& arguments);

/// On what a command that adds to a run trains.
struct DeviceArguments {
  std::vector<std::string> devices;     ///< "auto", or names; empty: the experiment's
  std::optional<std::int64_t> workers;  ///< processes, on each GPU or on the CPU; else as many as the experiment has
};

struct BaselinesArguments {
  std::filesystem::path source;  ///< an experiment file, or the directory of a run
  std::vector<std::string> overrides;
  std::vector<std::string> names;  ///< else those of the experiment
  bool match_front = false;
  std::vector<std::uint64_t> match;  ///< candidates
  std::string vary = "nearest";      ///< "depth", "width"
  std::optional<std::filesystem::path> out;
  DeviceArguments on;
  bool json = false;
  bool quiet = false;
};
int baselines(const BaselinesArguments& arguments);

struct RetrainArguments {
  std::filesystem::path run;
  bool front = false;
  bool baselines = false;
  std::vector<std::uint64_t> ids;
  std::int64_t tokens = 0;
  DeviceArguments on;
  bool json = false;
  bool quiet = false;
};
int retrain(const RetrainArguments& arguments);

struct GenerateArguments {
  std::filesystem::path checkpoint;
  std::string prompt;
  std::string prompt_file;  ///< in place of prompt; "-" for standard input
  std::int64_t tokens = 256;
  std::int64_t samples = 1;
  double temperature = 1;
  std::int64_t top_k = 0;
  double top_p = 1;
  std::uint64_t seed = 1;
  bool json = false;
};
int generate(const GenerateArguments& arguments);

struct TokenizerTrainArguments {
  std::vector<std::string> files;  ///< globs
  std::string text_key = "text";
  std::int64_t vocabulary = 0;
  std::string model = "bpe";  ///< or "unigram"
  std::int64_t max_bytes = 100'000'000;
  std::uint64_t seed = 1;
  std::filesystem::path out;
  bool json = false;
};
int tokenizer_train(const TokenizerTrainArguments& arguments);

struct DataPackArguments {
  std::vector<std::string> files;  ///< globs
  std::string text_key = "text";
  std::string tokenizer;  ///< "bytes" or a SentencePiece model
  std::int64_t max_bytes = 0;
  double validation = 0.1;
  double test = 0.1;
  std::uint64_t seed = 1;
  std::filesystem::path out;
  bool json = false;
};
int data_pack(const DataPackArguments& arguments);

struct DoctorArguments {
  bool json = false;
};
int doctor(const DoctorArguments& arguments);

}  // namespace starling::tools
