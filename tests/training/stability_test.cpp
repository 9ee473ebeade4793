// Random backbones of 24 LIVs at a steep schedule: how many diverge, and which classes they have more often than the others.
#include <gtest/gtest.h>

#include <ATen/Parallel.h>
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <map>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <starling/base/random.hpp>
#include <starling/genome/validity.hpp>
#include <starling/genome/variation.hpp>
#include <starling/tasks/task.hpp>
#include <starling/training/evaluate_candidate.hpp>

#include "toy_task.hpp"

namespace starling::training {
namespace {

constexpr int samples = 200;

struct Outcome {
  genome::Genome genome;
  bool diverged = false;
  std::string reason;
};

TEST(Stability, AtLeastNineteenOfTwentyRandomBackbonesTrain) {
  const ToyTask task({.length = 128});
  const genome::Space space{.depth = 24};
  const genome::Dimensions dimensions{.width = 64, .length = task.sequence_length(), .vocabulary = task.vocabulary()};
  // 50 steps of four sequences, the peak reached in the fifth.
  const CandidateOptions options{.training = {.tokens = 50 * 512, .batch_tokens = 512, .learning_rate = 8e-4, .warmup = 0.1}};
  const std::atomic<bool> stop{false};
  std::vector<Outcome> outcomes(samples);
  std::atomic<int> next{0};
  const auto train = [&] {
    at::set_num_threads(1);
    for (int sample = next++; sample < samples; sample = next++) {
      const auto number = static_cast<std::uint64_t>(sample);
      Stream stream(7, Purpose::test, number);
      const auto genome = genome::sample(space, stream);
      const auto result = evaluate_candidate(*space.catalogue, genome, dimensions, task, options, number, stop).training;
      outcomes[number] = {genome, result.end != End::completed, result.reason};
      // Half an hour's work should be seen to go on.
      fmt::print("{} of {}: {}\n", sample + 1, samples, result.end == End::completed ? "trained" : result.reason);
      std::fflush(stdout);
    }
  };
  std::vector<std::thread> threads(std::max(1U, std::thread::hardware_concurrency()));
  for (auto& thread : threads) thread = std::thread(train);
  for (auto& thread : threads) thread.join();

  int diverged = 0;
  std::map<int, std::pair<int, int>> by_class;  // genomes with the class, and how many of them diverged
  for (const auto& [genome, failed, reason] : outcomes) {
    if (failed) fmt::print("{}: {}\n", genome::to_text(genome), reason);
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
