// The MAD tasks as data: names, the settings of the paper's baseline (Poli et al. 2024, arXiv 2403.17844, table B.1), and which settings go together.
// What the sequences are: tasks/mad_generators.hpp.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace starling {

enum class MadTask { in_context_recall, noisy_recall, fuzzy_recall, selective_copying, compression, memorisation };

/// Names of the fields are those of the [task] table of the experiment file.
struct MadOptions {
  MadTask task = MadTask::in_context_recall;
  std::int64_t vocabulary = 16;        ///< V, special and noise tokens included
  std::int64_t sequence_length = 128;  ///< L
  std::int64_t training_sequences = 12'800;
  std::int64_t test_sequences = 1'280;  ///< and as many for validation
  std::int64_t noise_vocabulary = 16;   ///< noisy recall: tokens of the vocabulary that are noise
  double noise = 0.2;                   ///< noisy recall: probability that a pair is noise
  std::int64_t copied = 16;             ///< selective copying: tokens to copy
  std::uint64_t seed = 0;               ///< of the data

  bool operator==(const MadOptions&) const = default;
};

/// "in-context-recall".
std::string_view name_of(MadTask task);
std::vector<std::string> mad_task_names();
/// Nothing where there is no such task.
std::optional<MadTask> mad_task_named(std::string_view name);

/// The paper's setting.
MadOptions mad_defaults(MadTask task);

/// A setting that does not fit the task: its field and what is expected of it, "an even number of at least 4: …".
struct MadObjection {
  std::string_view field;
  std::string found;
  std::string expected;
};
std::optional<MadObjection> objection(const MadOptions& options);

/// Inputs that the model sees of one training sequence: L, but L − 1 where the last token is only an answer.
std::int64_t positions(const MadOptions& options);

}  // namespace starling
