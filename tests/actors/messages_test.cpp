#include <gtest/gtest.h>
#include <caf/all.hpp>

#include <cmath>
#include <limits>

#include <starling/actors/interfaces.hpp>

namespace starling::actors {
namespace {

template <class T>
T through_the_wire(T value) {
  caf::actor_system_config config;
  config.add_message_types<caf::id_block::starling>();
  caf::actor_system system{config};
  std::vector<char> bytes;
  caf::binary_serializer sink{system, bytes};
  EXPECT_FALSE(sink(value));
  T copy;
  caf::binary_deserializer source{system, bytes};
  EXPECT_FALSE(source(copy));
  return copy;
}

TEST(Messages, KeepEveryBitOfAFloatingPointNumber) {
  for (const double value : {std::numeric_limits<double>::infinity(), -std::numeric_limits<double>::infinity(),
                             std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::denorm_min(), -0.0, 0.1}) {
    EvaluationMessage message;
    message.record.loss = value;
    message.record.outcome.objectives = {value, 1.0};
    message.record.curve.push_back(
        {.step = 3, .tokens = 4, .train_loss = value, .val_loss = value, .learning_rate = 1, .grad_norm = 2, .elapsed_s = 3});
    const auto copy = through_the_wire(message);
    const auto bits = std::bit_cast<std::uint64_t>(value);
    // A NaN keeps being one; every other value keeps its bits.
    const auto same = [&](double other) { return std::isnan(value) ? std::isnan(other) : std::bit_cast<std::uint64_t>(other) == bits; };
    EXPECT_TRUE(same(copy.record.loss));
    EXPECT_TRUE(same(copy.record.outcome.objectives.at(0)));
    EXPECT_TRUE(same(copy.record.curve.at(0).train_loss));
    EXPECT_TRUE(same(through_the_wire(Progress{.id = 1, .step = 2, .steps = 3, .loss = value}).loss));
  }
}

TEST(Messages, CarryARetraining) {
  RetrainingMessage message;
  message.record.asked_tokens = 5'000'000'000;
  message.record.evaluation.outcome.id = 7;
  message.record.evaluation.loss = std::numeric_limits<double>::infinity();
  const auto copy = through_the_wire(message);
  EXPECT_EQ(copy.record.asked_tokens, 5'000'000'000);
  EXPECT_EQ(copy.record.evaluation.outcome.id, 7u);
  EXPECT_EQ(copy.record.evaluation.loss, message.record.evaluation.loss);
}

TEST(Messages, CarryAGenomeWhole) {
  for (const auto* text : {"11211-31112-11221-31112", "1121110-3111211-11221-12.1.1.1.2.0.1"}) {
    Job job;
    job.id = 7;
    job.attempt = 2;
    job.training_seed = 0xffff'ffff'ffff'fff1;
    job.genome = genome::parse_genome(text);
    job.width = 112;
    job.tokens = 5'000'000'000;
    job.test_of = "checkpoints/00000007.h5";
    const auto copy = through_the_wire(job);
    EXPECT_EQ(copy.id, job.id);
    EXPECT_EQ(copy.attempt, job.attempt);
    EXPECT_EQ(copy.training_seed, job.training_seed);
    EXPECT_EQ(copy.genome, job.genome);
    EXPECT_EQ(copy.width, job.width);
    EXPECT_EQ(copy.tokens, job.tokens);
    EXPECT_EQ(copy.test_of, job.test_of);
  }
}

TEST(Messages, RefuseAJobWhoseTextIsNoGenome) {
  caf::actor_system_config config;
  caf::actor_system system{config};
  std::vector<char> bytes;
  caf::binary_serializer sink{system, bytes};
  std::string genome = "123";
  EXPECT_FALSE(sink(std::uint64_t{1}, std::uint32_t{1}, std::uint64_t{1}, genome));
  Job job;
  caf::binary_deserializer source{system, bytes};
  EXPECT_TRUE(source(job));
}

}  // namespace
}  // namespace starling::actors
