// Random backbones of 24 LIVs at a steep schedule: how many diverge, and which classes they have more often than the others.
#include <gtest/gtest.h>

#include <fmt/format.h>

#include <atomic>
#include <map>
#include <set>

#include <starling/base/random.hpp>
#include <starling/genome/validity.hpp>
#include <starling/genome/variation.hpp>
#include <starling/tasks/task.hpp>
#include <starling/training/evaluate_candidate.hpp>

#include "toy_task.hpp"

namespace starling::training {
namespace {

constexpr int samples = 200;

TEST(Stability, AtLeastNineteenOfTwentyRandomBackbonesTrain) {
  const ToyTask task({.length = 128});
  const genome::Space space{.depth = 24};
  const genome::Dimensions dimensions{.width = 64, .length = task.sequence_length(), .vocabulary = task.vocabulary()};
  // 50 steps, the peak reached in the fifth.
  const CandidateOptions options{.training = {.tokens = 50 * 1024, .batch_tokens = 1024, .learning_rate = 8e-4, .warmup = 0.1}};
  const std::atomic<bool> stop{false};
  int diverged = 0;
  std::map<int, std::pair<int, int>> by_class;  // genomes with the class, and how many of them diverged
  for (int sample = 0; sample < samples; ++sample) {
    Stream stream(7, Purpose::test, static_cast<std::uint64_t>(sample));
    const auto genome = genome::sample(space, stream);
    const auto result =
        evaluate_candidate(*space.catalogue, genome, dimensions, task, options, static_cast<std::uint64_t>(sample), stop).training;
    const bool failed = result.end != End::completed;
    if (failed) fmt::print("{}: {}\n", genome::to_text(genome), result.reason);
    diverged += failed;
    std::set<int> classes;
    for (const auto& liv : genome.livs) classes.insert(liv.liv_class);
    for (const int id : classes) {
      ++by_class[id].first;
      by_class[id].second += failed;
    }
  }
  fmt::print("{} of {} diverged\n", diverged, samples);
  for (const auto& [id, counts] : by_class) {
    fmt::print("  {:<14} in {:>3} genomes, {} of them diverged\n", space.catalogue->at(id).name, counts.first, counts.second);
  }
  EXPECT_LE(diverged, samples / 20);
}

}  // namespace
}  // namespace starling::training
