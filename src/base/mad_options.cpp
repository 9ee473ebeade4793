#include <starling/base/mad_options.hpp>

#include <array>

namespace starling {
namespace {

struct Row {
  MadTask task;
  std::string_view name;
  MadOptions defaults;
};

// clang-format off
constexpr std::array rows{
    Row{MadTask::in_context_recall, "in-context-recall", {.task = MadTask::in_context_recall}},
    Row{MadTask::noisy_recall,      "noisy-recall",      {.task = MadTask::noisy_recall, .vocabulary = 32}},
    Row{MadTask::fuzzy_recall,      "fuzzy-recall",      {.task = MadTask::fuzzy_recall}},
    Row{MadTask::selective_copying, "selective-copying", {.task = MadTask::selective_copying, .sequence_length = 256}},
    Row{MadTask::compression,       "compression",       {.task = MadTask::compression, .sequence_length = 32}},
    Row{MadTask::memorisation,      "memorisation",      {.task = MadTask::memorisation, .vocabulary = 256, .sequence_length = 32,
                                                          .training_sequences = 256}},
};
// clang-format on

const Row& row_of(MadTask task) { return rows[static_cast<std::size_t>(task)]; }

std::optional<MadObjection> even(std::string_view field, std::int64_t value, std::int64_t least, std::string_view why) {
  if (value >= least && value % 2 == 0) return {};
  return MadObjection{field, std::to_string(value), "an even number of at least " + std::to_string(least) + ": " + std::string(why)};
}

std::optional<MadObjection> at_least(std::string_view field, std::int64_t value, std::int64_t least, std::string_view why) {
  if (value >= least) return {};
  return MadObjection{field, std::to_string(value), "at least " + std::to_string(least) + (why.empty() ? "" : ": ") + std::string(why)};
}

constexpr std::string_view length_of_pairs = "the sequence is made of key-value pairs";

}  // namespace

std::string_view name_of(MadTask task) { return row_of(task).name; }

std::vector<std::string> mad_task_names() {
  std::vector<std::string> names;
  for (const auto& row : rows) names.emplace_back(row.name);
  return names;
}

std::optional<MadTask> mad_task_named(std::string_view name) {
  for (const auto& row : rows) {
    if (row.name == name) return row.task;
  }
  return {};
}

MadOptions mad_defaults(MadTask task) { return row_of(task).defaults; }

std::optional<MadObjection> objection(const MadOptions& o) {
  if (auto found = at_least("training_sequences", o.training_sequences, 1, "")) return found;
  if (auto found = at_least("test_sequences", o.test_sequences, 1, "")) return found;
  switch (o.task) {
    case MadTask::in_context_recall:
      if (auto found = even("vocabulary", o.vocabulary, 4, "one half are keys, the other values")) return found;
      return even("sequence_length", o.sequence_length, 4, length_of_pairs);
    case MadTask::noisy_recall:
      if (auto found = at_least("noise_vocabulary", o.noise_vocabulary, 1, "")) return found;
      if (o.vocabulary - o.noise_vocabulary < 4 || (o.vocabulary - o.noise_vocabulary) % 2 != 0) {
        return MadObjection{"vocabulary", std::to_string(o.vocabulary),
                            "noise_vocabulary = " + std::to_string(o.noise_vocabulary) +
                                " and an even number of at least 4 more: one half of them are keys, the other values"};
      }
      if (!(o.noise >= 0 && o.noise <= 1)) return MadObjection{"noise", std::to_string(o.noise), "a probability"};
      return even("sequence_length", o.sequence_length, 4, length_of_pairs);
    case MadTask::fuzzy_recall:
      if (auto found = at_least("vocabulary", o.vocabulary, 7, "three tokens for keys, three for values and the padding")) return found;
      return at_least("sequence_length", o.sequence_length, 12, "it holds the probe twice");
    case MadTask::selective_copying:
      if (auto found = at_least("copied", o.copied, 1, "")) return found;
      if (auto found = at_least("vocabulary", o.vocabulary, 4, "blank, copy token and some to copy")) return found;
      return at_least("sequence_length", o.sequence_length, 2 * o.copied + 1, "2 · copied + 1 tokens are no blanks among others");
    case MadTask::compression:
      return at_least("vocabulary", o.vocabulary, 3, "the compression token and some to compress");
    case MadTask::memorisation:
      if (auto found = at_least("vocabulary", o.vocabulary, 4, "the insert token, keys and values")) return found;
      return even("sequence_length", o.sequence_length, 2, "it is made of pairs of key and insert token");
  }
  return {};
}

std::int64_t positions(const MadOptions& options) {
  const bool shifted = options.task == MadTask::in_context_recall || options.task == MadTask::noisy_recall;
  return options.sequence_length - (shifted ? 1 : 0);
}

}  // namespace starling
