#include <starling/tasks/mad_generators.hpp>

#include <vector>

#include <starling/tasks/task.hpp>

namespace starling::tasks {
namespace {

class Memorisation final : public MadGenerator {
 public:
  explicit Memorisation(const MadOptions& options)
      : length_(options.sequence_length), insert_(options.vocabulary - 1), value_of_(static_cast<std::size_t>(insert_ / 2)) {
    // No sequence has this attempt number: the map is drawn apart from all of them.
    Stream stream(options.seed, Purpose::task_data, 0, ~std::uint32_t{0});
    const auto keys = insert_ / 2;
    for (auto& value : value_of_) value = keys + static_cast<std::int64_t>(stream.below(static_cast<std::uint64_t>(insert_ - keys)));
  }

  std::int64_t length() const override { return length_; }

  void write(Stream& stream, bool, std::int64_t* inputs, std::int64_t* targets) const override {
    for (std::int64_t t = 0; t < length_; t += 2) {
      const auto key = stream.below(value_of_.size());
      inputs[t] = static_cast<std::int64_t>(key);
      targets[t] = ignored;
      inputs[t + 1] = insert_;
      targets[t + 1] = value_of_[key];
    }
  }

 private:
  std::int64_t length_, insert_;
  std::vector<std::int64_t> value_of_;  ///< by key
};

}  // namespace

std::unique_ptr<const MadGenerator> memorisation_generator(const MadOptions& options) { return std::make_unique<Memorisation>(options); }

}  // namespace starling::tasks
