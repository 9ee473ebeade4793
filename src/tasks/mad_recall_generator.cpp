#include <starling/tasks/mad_generators.hpp>

#include <vector>

#include <starling/tasks/task.hpp>

namespace starling::tasks {
namespace {

class Recall final : public MadGenerator {
 public:
  explicit Recall(const MadOptions& options)
      : length_(options.sequence_length),
        keys_(static_cast<std::uint64_t>(options.vocabulary - noise_tokens(options)) / 2),
        noise_tokens_(static_cast<std::uint64_t>(noise_tokens(options))),
        noise_(options.task == MadTask::noisy_recall ? options.noise : 0) {}

  std::int64_t length() const override { return length_ - 1; }

  void write(Stream& stream, bool training, std::int64_t* input, std::int64_t* target) const override {
    const std::int64_t pairs = length_ / 2;
    std::vector<std::int64_t> value_of(keys_, -1);
    std::vector<std::size_t> seen;  // keys in order of first use
    // At least one pair must be there for the probe to ask for.
    const auto clean = noise_ > 0 ? static_cast<std::int64_t>(stream.below(static_cast<std::uint64_t>(pairs - 1))) : 0;
    for (std::int64_t pair = 0; pair < pairs; ++pair) {
      const bool probe = pair + 1 == pairs;
      if (noise_ > 0 && !probe && pair != clean && stream.chance(noise_)) {
        for (int i = 0; i < 2; ++i) {
          const auto token = static_cast<std::int64_t>(2 * keys_ + stream.below(noise_tokens_));
          if (pair + i > 0) *target++ = training ? token : ignored;
          *input++ = token;
        }
        continue;
      }
      const std::size_t key = probe ? seen[stream.below(seen.size())] : static_cast<std::size_t>(stream.below(keys_));
      const bool known = value_of[key] >= 0;
      if (!known) {
        value_of[key] = static_cast<std::int64_t>(keys_ + stream.below(keys_));
        seen.push_back(key);
      }
      if (pair > 0) *target++ = training ? static_cast<std::int64_t>(key) : ignored;
      *target++ = training || known ? value_of[key] : ignored;
      *input++ = static_cast<std::int64_t>(key);
      if (!probe) *input++ = value_of[key];
    }
  }

 private:
  static std::int64_t noise_tokens(const MadOptions& options) {
    return options.task == MadTask::noisy_recall ? options.noise_vocabulary : 0;
  }

  std::int64_t length_;
  std::uint64_t keys_;
  std::uint64_t noise_tokens_;
  double noise_;
};

}  // namespace

std::unique_ptr<const MadGenerator> recall_generator(const MadOptions& options) { return std::make_unique<Recall>(options); }

}  // namespace starling::tasks
