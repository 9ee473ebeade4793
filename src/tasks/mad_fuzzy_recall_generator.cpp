#include <starling/tasks/mad_generators.hpp>

#include <algorithm>
#include <map>
#include <numeric>
#include <utility>
#include <vector>

#include <starling/tasks/task.hpp>

namespace starling::tasks {
namespace {

constexpr std::uint64_t longest_motif = 3;

using Motif = std::vector<std::int64_t>;

class FuzzyRecall final : public MadGenerator {
 public:
  explicit FuzzyRecall(const MadOptions& options)
      : length_(options.sequence_length),
        padding_(options.vocabulary - 1),
        keys_((options.vocabulary - 1) / 2),
        values_(options.vocabulary - 1 - keys_) {}

  std::int64_t length() const override { return length_; }

  void write(Stream& stream, bool training, std::int64_t* inputs, std::int64_t* targets) const override {
    std::map<Motif, Motif> value_of;
    const auto draw_key = [&] { return motif(stream, 0, keys_, training ? 1 + stream.below(longest_motif) : longest_motif); };
    const auto value_for = [&](const Motif& key) -> const Motif& {
      auto [entry, is_new] = value_of.try_emplace(key);
      if (is_new) entry->second = motif(stream, keys_, values_, 1 + stream.below(longest_motif));
      return entry->second;
    };
    const auto probe = draw_key();
    const auto probe_length = static_cast<std::int64_t>(probe.size() + value_for(probe).size());
    std::vector<Motif> order;
    for (std::int64_t filled = 2 * probe_length; filled < length_ - static_cast<std::int64_t>(2 * longest_motif);) {
      order.push_back(draw_key());
      filled += static_cast<std::int64_t>(order.back().size() + value_for(order.back()).size());
    }
    order.insert(order.begin() + static_cast<std::ptrdiff_t>(stream.below(order.size() + 1)), probe);
    order.push_back(probe);

    std::vector<std::int64_t> tokens, answers;
    std::map<Motif, bool> seen;
    for (const auto& key : order) {
      const auto& value = value_of.at(key);
      const bool known = std::exchange(seen[key], true);
      tokens.insert(tokens.end(), key.begin(), key.end());
      tokens.insert(tokens.end(), value.begin(), value.end());
      if (training) continue;
      answers.insert(answers.end(), key.size(), ignored);
      for (const auto token : value) answers.push_back(known ? token : ignored);
    }
    if (training) answers = tokens;
    const auto padding = length_ + 1 - static_cast<std::int64_t>(tokens.size());
    tokens.insert(tokens.begin(), static_cast<std::size_t>(padding), padding_);
    answers.insert(answers.begin(), static_cast<std::size_t>(padding), ignored);
    std::copy(tokens.begin(), tokens.end() - 1, inputs);
    std::copy(answers.begin() + 1, answers.end(), targets);
  }

 private:
  /// `size` different tokens of [first, first + count), in a random order.
  static Motif motif(Stream& stream, std::int64_t first, std::int64_t count, std::uint64_t size) {
    Motif tokens(static_cast<std::size_t>(count));
    std::iota(tokens.begin(), tokens.end(), first);
    for (std::size_t i = 0; i < size; ++i) std::swap(tokens[i], tokens[i + stream.below(tokens.size() - i)]);
    tokens.resize(size);
    return tokens;
  }

  std::int64_t length_, padding_, keys_, values_;
};

}  // namespace

std::unique_ptr<const MadGenerator> fuzzy_recall_generator(const MadOptions& options) { return std::make_unique<FuzzyRecall>(options); }

}  // namespace starling::tasks
