#include "cli.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <functional>
#include <iostream>
#include <string>
#include <string_view>
#include <vector>

#include <starling/base/error.hpp>

#include "commands.hpp"
#include "run.hpp"

namespace starling::tools {
namespace {

constexpr const char* exit_codes =
    "Exit codes: 0 done, 1 failed, 2 wrong usage or input, 3 no valid result,\n"
    "130 and 143 stopped by a signal, with everything recorded.\n"
    "Results go to standard output, messages to standard error.";

constexpr std::int64_t largest_width = 65'536;
constexpr std::int64_t largest_length = 1'073'741'824;
constexpr std::int64_t largest_depth = 4'096;
constexpr std::int64_t most_workers = 1'024;
constexpr std::int64_t most_tokens = 1'000'000'000'000'000;

/// Of a number with a point: CLI::Range lets NaN through, which is neither below nor above anything.
CLI::Validator finite_within(double least, double most) {
  return {[=](std::string& text) {
            double value = 0;
            const bool legal = CLI::detail::lexical_cast(text, value) && value >= least && value <= most;
            return legal ? std::string() : fmt::format("Value {} not in range {:g} to {:g}", text, least, most);
          },
          fmt::format("FLOAT in [{:g} - {:g}]", least, most)};
}

/// Of a seed: strtoull, which CLI11 reads numbers with, takes -1 for the largest one, and what is larger too.
CLI::Validator whole_number() {
  return {[](std::string& text) {
            std::uint64_t value = 0;
            const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
            const bool legal = error == std::errc() && end == text.data() + text.size();
            return legal ? std::string() : fmt::format("Value {} is no whole number from 0 to 2^64 - 1", text);
          },
          "UINT"};
}

/// Every line of a message tells who speaks, so that it can be found in a log. Does not throw where standard error is
/// closed.
void complain(std::string_view message) {
  while (!message.empty()) {
    const auto end = message.find('\n');
    const auto line = fmt::format("starling: {}\n", message.substr(0, end));
    std::fwrite(line.data(), 1, line.size(), stderr);
    message.remove_prefix(end == std::string_view::npos ? message.size() : end + 1);
  }
}

/// The parser with the arguments it fills and the work each command does.
class CommandLine {
 public:
  CommandLine() {
    app_.name("starling");
    app_.set_version_flag("--version", std::string("starling ") + STARLING_VERSION);
    app_.require_subcommand(1);
    app_.footer(exit_codes);
    app_.get_formatter()->column_width(32);
    add_run();
    add_check();
    add_show();
    add_front();
    add_compare();
    add_baselines();
    add_retrain();
    add_classes();
    add_describe();
    add_generate();
    add_tokenizer();
    add_data();
    add_doctor();
  }

  int run(int count, char** arguments) {
    if (count < 2) {
      fmt::print(stderr, "{}", app_.help());
      return exit_code::usage;
    }
    if (const std::string_view first = arguments[1]; !first.empty() && first[0] != '-' && !is_command(first)) {
      return wrong_usage(fmt::format("unknown command '{}'{}; see 'starling --help'", first, did_you_mean(first, commands())));
    }
    try {
      app_.parse(count, arguments);
    } catch (const CLI::Success& asked) {
      return app_.exit(asked, std::cout, std::cerr);  // --help or --version
    } catch (const CLI::ParseError& error) {
      return wrong_usage(explain(error));
    }
    return work_();
  }

 private:
  CLI::App* add(const char* name, const char* description, std::function<int()> work) {
    auto* command = app_.add_subcommand(name, description);
    command->footer(exit_codes);
    command->get_formatter()->column_width(32);
    command->callback([this, work = std::move(work)] { work_ = work; });
    return command;
  }

  static void add_json(CLI::App* command, bool& json) { command->add_flag("--json", json, "Print JSON"); }

  static void add_overrides(CLI::App* command, std::vector<std::string>& overrides) {
    command->add_option("overrides", overrides, "Values in place of the file's: search.population=32 (TOML, or a bare word for a string)")
        ->type_name("key=value");
  }

  void add_run() {
    auto* command = add("run", "Search architectures as an experiment file says", [this] { return tools::run(run_); });
    command->add_option("experiment", run_.experiment, "Experiment file")->required()->type_name("FILE");
    add_overrides(command, run_.overrides);
    command->add_option("--out", run_.out, "Directory for the results, new or empty; default runs/NAME-N")->type_name("DIR");
    auto* const dry_run = command->add_flag("--dry-run", run_.dry_run, "Print what would be done and what it costs, and do nothing");
    command
        ->add_option("--tflops", run_.tflops,
                     "For --dry-run: what a GPU, or a worker on the CPU, computes in training, in 10^12 FLOP/s; else half of what a matrix "
                     "product reaches here")
        ->check(finite_within(1e-6, 1e6))
        ->needs(dry_run)
        ->type_name("X");
    command->add_flag("--print-config", run_.print_config, "Print the experiment with every default filled in, and do nothing");
    command->add_flag("--quiet", run_.quiet, "No progress");
    add_json(command, run_.json);
  }

  void add_check() {
    auto* command = add("check", "Check an experiment file, or list the keys it may have", [this] { return tools::check(check_); });
    auto* keys = command->add_flag("--keys", check_.keys, "List the keys with type, range, default and meaning");
    command->add_option("experiment", check_.experiment, "Experiment file")->type_name("FILE")->excludes(keys);
    add_overrides(command, check_.overrides);
    add_json(command, check_.json);
    command->callback([this] {
      if (!check_.keys && check_.experiment.empty()) throw CLI::RequiredError("experiment");
      work_ = [this] { return tools::check(check_); };
    });
  }

  void add_show() {
    auto* command = add("show", "Show a run, or one of its candidates", [this] { return tools::show(show_); });
    command->add_option("run", show_.run, "Run directory")->required()->type_name("RUN");
    command->add_option("id", show_.candidate, "Number of a candidate")->type_name("ID");
    add_json(command, show_.json);
  }

  void add_front() {
    auto* command = add("front", "Show the Pareto front of a run, beside its baselines", [this] { return tools::front(front_); });
    command->add_option("run", front_.run, "Run directory")->required()->type_name("RUN");
    add_json(command, front_.json);
  }

  void add_compare() {
    auto* command = add("compare", "Compare searches of the same task: hypervolume, fronts, best candidates",
                        [this] { return tools::compare(compare_); });
    command->add_option("runs", compare_.runs, "Run directories, two or more")->required()->type_name("RUN");
    add_json(command, compare_.json);
  }

  static void add_devices(CLI::App* command, DeviceArguments& on) {
    command->add_option("--devices", on.devices, "What is trained on, else the experiment's: auto, cpu, or GPUs (cuda:0,cuda:1)")
        ->delimiter(',')
        ->type_name("NAME,…");
    command->add_option("--workers", on.workers, "Worker processes, on each GPU or on the CPU, else as many as the experiment has")
        ->check(CLI::Range(std::int64_t{1}, most_workers))
        ->type_name("N");
  }

  /// Large numbers as TOML has them.
  static std::string without_underscores(std::string number) {
    std::erase(number, '_');
    return number;
  }

  void add_baselines() {
    auto& a = baselines_;
    auto* command = add("baselines", "Train baselines as a search trains its candidates, and put them into a run",
                        [this] { return tools::baselines(baselines_); });
    command->add_option("source", a.source, "Experiment file, for a new run, or the directory of a run that ended")
        ->required()
        ->type_name("FILE|RUN");
    add_overrides(command, a.overrides);
    command->add_option("--names", a.names, "Which, else those of the experiment")->delimiter(',')->type_name("NAME,…");
    command->add_flag("--match-front", a.match_front, "Each also as large as every member of the front");
    command->add_option("--match", a.match, "Each also as large as these candidates")->delimiter(',')->type_name("ID,…");
    command->add_option("--vary", a.vary, "What is changed to match a size; nearest takes what comes nearer to it")
        ->check(CLI::IsMember({"depth", "width", "nearest"}))
        ->type_name("depth|width|nearest")
        ->capture_default_str();
    command->add_option("--out", a.out, "Directory of a new run, new or empty; default runs/NAME-N")->type_name("DIR");
    add_devices(command, a.on);
    command->add_flag("--quiet", a.quiet, "No progress");
    add_json(command, a.json);
  }

  void add_retrain() {
    auto& a = retrain_;
    auto* command =
        add("retrain", "Train candidates of a run on more tokens, and compare the orders", [this] { return tools::retrain(retrain_); });
    command->add_option("run", a.run, "Directory of a run that ended")->required()->type_name("RUN");
    auto* const front = command->add_flag("--front", a.front, "Every member of the front");
    auto* const ids = command->add_option("--ids", a.ids, "These candidates")->delimiter(',')->type_name("ID,…");
    auto* const baselines = command->add_flag("--baselines", a.baselines, "The baselines of the run");
    command->add_option("--tokens", a.tokens, "To train on; 5_000_000 is 5000000")
        ->required()
        ->check(CLI::Range(std::int64_t{1}, most_tokens))
        ->transform(without_underscores)
        ->type_name("N");
    add_devices(command, a.on);
    command->add_flag("--quiet", a.quiet, "No progress");
    add_json(command, a.json);
    command->callback([this, front, ids, baselines] {
      if (front->empty() && ids->empty() && baselines->empty()) {
        throw CLI::RequiredError("one of --front, --ids, --baselines");
      }
      work_ = [this] { return tools::retrain(retrain_); };
    });
  }

  void add_source(CLI::App* command, ClassSource& source) {
    auto* const catalogue = command->add_option("--catalogue", source.catalogue, "Catalogue")->type_name("NAME")->capture_default_str();
    command->add_option("--experiment", source.experiment, "Experiment file, for its catalogue, [[class]] rows and sizes")
        ->type_name("FILE")
        ->excludes(catalogue);
    command->add_option("--band", source.band, "Tokens that banded and block-diagonal classes see, else the experiment's or 256")
        ->check(CLI::Range(std::int64_t{1}, largest_length))
        ->type_name("N");
  }

  void add_classes() {
    auto* command = add("classes", "Show the classes of a catalogue: definition, parameters, cache, FLOPs",
                        [this] { return tools::classes(classes_); });
    add_source(command, classes_.source);
    command->add_option("--width", classes_.width, "Channels, else the experiment's or 768")
        ->check(CLI::Range(std::int64_t{1}, largest_width))
        ->type_name("N");
    command->add_option("--length", classes_.length, "Tokens of the sequence, else the experiment's or 4096")
        ->check(CLI::Range(std::int64_t{1}, largest_length))
        ->type_name("N");
    add_json(command, classes_.json);
  }

  void add_describe() {
    auto* command =
        add("describe", "Count parameters, cache and FLOPs of a genome or baseline", [this] { return tools::describe(describe_); });
    command->add_option("architecture", describe_.architecture, "Genome (21211-31112) or baseline (transformer++)")
        ->required()
        ->type_name("GENOME|BASELINE");
    command->add_option("--width", describe_.width, "Channels, else the experiment's")
        ->check(CLI::Range(std::int64_t{1}, largest_width))
        ->type_name("N");
    command->add_option("--depth", describe_.depth, "LIVs of a baseline, else the experiment's")
        ->check(CLI::Range(std::int64_t{1}, largest_depth))
        ->type_name("N");
    command->add_option("--length", describe_.length, "Tokens of the sequence, else the experiment's")
        ->check(CLI::Range(std::int64_t{1}, largest_length))
        ->type_name("N");
    command->add_option("--vocabulary", describe_.vocabulary, "Rows of the embedding, else the experiment's or 257, those of bytes")
        ->check(CLI::Range(std::int64_t{1}, largest_length))
        ->type_name("N");
    command->add_option("--tokens", describe_.tokens, "Of a training, for its FLOPs; 5_000_000 is 5000000")
        ->check(CLI::Range(std::int64_t{1}, most_tokens))
        ->transform(without_underscores)
        ->type_name("N");
    add_source(command, describe_.source);
    add_json(command, describe_.json);
  }

  void add_generate() {
    auto* command = add("generate", "Continue a prompt with the weights that a run saved", [this] { return tools::generate(generate_); });
    command->add_option("checkpoint", generate_.checkpoint, "Weights: RUN/checkpoints/NNNNNNNN.h5")->required()->type_name("CHECKPOINT");
    auto* prompt =
        command->add_option("--prompt", generate_.prompt, "Text to continue; for a MAD task, tokens as numbers")->type_name("TEXT");
    command->add_option("--prompt-file", generate_.prompt_file, "The prompt is in this file, - for standard input")
        ->type_name("FILE")
        ->excludes(prompt);
    command->add_option("--tokens", generate_.tokens, "At most so many; less where the model ends its document")
        ->check(CLI::Range(std::int64_t{1}, largest_length))
        ->type_name("N")
        ->capture_default_str();
    command->add_option("--samples", generate_.samples, "Continuations of the same prompt")
        ->check(CLI::Range(std::int64_t{1}, std::int64_t{1'000'000}))
        ->type_name("N")
        ->capture_default_str();
    command->add_option("--temperature", generate_.temperature, "Divides the logits; 0 takes the most likely token")
        ->check(finite_within(0.0, 1e6))
        ->type_name("T")
        ->capture_default_str();
    command->add_option("--top-k", generate_.top_k, "Only the K most likely tokens; 0 for all")
        ->check(CLI::Range(std::int64_t{0}, largest_length))
        ->type_name("K")
        ->capture_default_str();
    command->add_option("--top-p", generate_.top_p, "Only the most likely tokens that together have this probability")
        ->check(finite_within(0.0, 1.0))
        ->type_name("P")
        ->capture_default_str();
    command->add_option("--seed", generate_.seed, "Of the random choice")->check(whole_number())->type_name("N")->capture_default_str();
    add_json(command, generate_.json);
  }

  static void add_text(CLI::App* command, std::vector<std::string>& files, std::string& text_key) {
    command->add_option("files", files, "Text files or globs, .jsonl with a document per line, also .gz and .zst")
        ->required()
        ->type_name("FILES");
    command->add_option("--text-key", text_key, "Which key of a JSONL file's objects holds the text")
        ->type_name("KEY")
        ->capture_default_str();
  }

  /// A command of a command: `starling data pack`.
  CLI::App* add_below(const char* group, const char* of_group, const char* name, const char* description, std::function<int()> work) {
    auto* above = app_.add_subcommand(group, of_group);
    above->require_subcommand(1);
    above->footer(exit_codes);
    auto* command = above->add_subcommand(name, description);
    command->footer(exit_codes);
    command->get_formatter()->column_width(32);
    command->callback([this, work = std::move(work)] { work_ = work; });
    return command;
  }

  void add_tokenizer() {
    auto& a = tokenizer_train_;
    auto* command = add_below("tokenizer", "Learn a vocabulary from text: tokenizer train", "train",
                              "Learn a SentencePiece model from text", [this] { return tools::tokenizer_train(tokenizer_train_); });
    add_text(command, a.files, a.text_key);
    command->add_option("--vocabulary", a.vocabulary, "Tokens, all included")
        ->required()
        ->check(CLI::Range(std::int64_t{260}, std::int64_t{65'536}))
        ->type_name("N");
    command->add_option("--model", a.model, "Kind of the model")
        ->check(CLI::IsMember({"bpe", "unigram"}))
        ->type_name("bpe|unigram")
        ->capture_default_str();
    command->add_option("--max-bytes", a.max_bytes, "Text that is looked at, documents in an order that the seed decides; 0 for all")
        ->check(CLI::Range(std::int64_t{0}, std::int64_t{1'000'000'000'000}))
        ->type_name("N")
        ->capture_default_str();
    command->add_option("--seed", a.seed, "Decides which text")->check(whole_number())->type_name("N")->capture_default_str();
    command->add_option("--out", a.out, "The new file, NAME.model")->required()->type_name("FILE");
    add_json(command, a.json);
  }

  void add_data() {
    auto& a = data_pack_;
    auto* command = add_below("data", "Make token shards of text: data pack", "pack",
                              "Make token shards of text, in three parts, with an index", [this] { return tools::data_pack(data_pack_); });
    add_text(command, a.files, a.text_key);
    command->add_option("--tokenizer", a.tokenizer, "bytes, or a SentencePiece model")->required()->type_name("bytes|FILE.model");
    command->add_option("--max-bytes", a.max_bytes, "Text that is used, documents in an order that the seed decides; 0 for all")
        ->check(CLI::Range(std::int64_t{0}, std::int64_t{1'000'000'000'000}))
        ->type_name("N")
        ->capture_default_str();
    command->add_option("--validation", a.validation, "Share of the text that measures quality")
        ->check(finite_within(0.0, 1.0))
        ->type_name("SHARE")
        ->capture_default_str();
    command->add_option("--test", a.test, "Share of the text that no search looks at")
        ->check(finite_within(0.0, 1.0))
        ->type_name("SHARE")
        ->capture_default_str();
    command->add_option("--seed", a.seed, "Decides the division")->check(whole_number())->type_name("N")->capture_default_str();
    command->add_option("--out", a.out, "Folder for the shards, new or empty")->required()->type_name("DIR");
    add_json(command, a.json);
  }

  void add_doctor() {
    auto* command =
        add("doctor", "Say which LibTorch, BLAS and devices are in use, and how fast they are", [this] { return tools::doctor(doctor_); });
    add_json(command, doctor_.json);
  }

  std::vector<std::string> commands() const {
    std::vector<std::string> names;
    for (const auto* command : app_.get_subcommands([](const CLI::App*) { return true; })) names.push_back(command->get_name());
    return names;
  }

  bool is_command(std::string_view name) const {
    const auto names = commands();
    return std::ranges::find(names, name) != names.end();
  }

  /// What is wrong with the arguments, with the nearest option where one is not known, and where to look.
  std::string explain(const CLI::ParseError& error) {
    const auto chosen = app_.get_subcommands();
    const CLI::App* command = chosen.empty() ? &app_ : chosen.front();
    auto spoken = chosen.empty() ? std::string("starling") : "starling " + command->get_name();
    if (!chosen.empty() && !command->get_subcommands().empty()) {
      command = command->get_subcommands().front();
      spoken += " " + command->get_name();
    }
    std::string text = error.what();
    const auto extras = app_.remaining(true);
    if (!extras.empty()) {
      const auto& first = extras.front();
      std::vector<std::string> options;
      for (const auto* option : command->get_options()) {
        for (const auto& name : option->get_lnames()) options.push_back("--" + name);
      }
      const auto name = first.substr(0, first.find('='));
      text = first[0] == '-' ? fmt::format("unknown option '{}'{}", name, did_you_mean(name, options))
                             : fmt::format("unexpected argument '{}'", first);
    }
    return fmt::format("{}; see '{} --help'", text, spoken);
  }

  static int wrong_usage(const std::string& message) {
    complain(message);
    return exit_code::usage;
  }

  CLI::App app_{"Synthesis of tailored neural-network architectures"};
  std::function<int()> work_;
  RunArguments run_;
  CheckArguments check_;
  ShowArguments show_;
  FrontArguments front_;
  CompareArguments compare_;
  BaselinesArguments baselines_;
  RetrainArguments retrain_;
  ClassesArguments classes_;
  DescribeArguments describe_;
  GenerateArguments generate_;
  TokenizerTrainArguments tokenizer_train_;
  DataPackArguments data_pack_;
  DoctorArguments doctor_;
};

/// A result that could not be written is no success, whatever the command returned.
int flushed(int code) {
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return code;
  complain(fmt::format("standard output cannot be written: {}", std::strerror(errno)));
  return exit_code::failed;
}

/// Where a standard stream is closed the next file that is opened, a journal, would become it, and messages be written into that. Reads
/// find the end, writes fail as before.
void occupy_standard_streams() {
  int number = 0;
  do {
    number = open("/dev/null", O_RDONLY);
  } while (number >= 0 && number <= STDERR_FILENO);
  if (number >= 0) close(number);
}

}  // namespace

int cli_main(int count, char** arguments) {
  occupy_standard_streams();
  try {
    return flushed(CommandLine().run(count, arguments));
  } catch (const UserError& error) {
    complain(error.what());
    return exit_code::usage;
  } catch (const std::exception& error) {
    complain(error.what());
    return exit_code::failed;
  }
}

}  // namespace starling::tools
