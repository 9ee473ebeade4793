// What training needs of memory, and what it does without. A program of its own: it replaces LibTorch's allocator.
#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include <bit>
#include <functional>
#include <new>

#include <starling/base/error.hpp>
#include <starling/genome/baselines.hpp>
#include <starling/training/micro_batches.hpp>
#include <starling/training/trainer.hpp>

#include <support/counting_allocator.hpp>

#include "toy_task.hpp"

namespace starling::training {
namespace {

using ::testing::HasSubstr;

const std::atomic<bool> never{false};
const CountingAllocator& memory = CountingAllocator::installed();

constexpr std::int64_t length = 64;

model::Model make_model(std::string_view genome = "striped-mamba", at::ScalarType type = at::kFloat) {
  const auto& catalogue = genome::Catalogue::liquid();
  return {catalogue,
          genome::genome_or_baseline(catalogue, genome, 4),
          {.width = 32, .length = length, .vocabulary = 11},
          1,
          model::Model::Initialization::glorot,
          type};
}

Options options(std::int64_t micro_batch = 0) {
  return {.tokens = 6 * 8 * length, .batch_tokens = 8 * length, .micro_batch_tokens = micro_batch * length, .learning_rate = 1e-2};
}

Result trained(model::Model& model, std::int64_t micro_batch = 0) {
  return train(model, ToyTask({.length = length}), options(micro_batch), 1, never);
}

/// Most bytes of a training's steps above what the model itself holds.
std::size_t peak_of(std::int64_t micro_batch) {
  model::Model model = make_model();
  const std::size_t before = memory.live();
  memory.start();
  trained(model, micro_batch);
  return memory.peak() - before;
}

std::vector<std::uint64_t> bits(const Result& result) {
  std::vector<std::uint64_t> numbers;
  for (const Point& point : result.curve) {
    numbers.push_back(std::bit_cast<std::uint64_t>(point.train_loss));
    numbers.push_back(std::bit_cast<std::uint64_t>(point.grad_norm));
  }
  return numbers;
}

bool same_weights(const model::Model& a, const model::Model& b) {
  for (std::size_t i = 0; i < a.parameters().size(); ++i) {
    if (!a.parameters()[i].value.equal(b.parameters()[i].value)) return false;
  }
  return true;
}

TEST(OutOfMemory, IsKnownFromEveryAllocator) {
  const auto is_known = [](const std::function<void()>& fail) {
    try {
      const MemoryLimit limit(memory.live() + 1000, fail);
      at::empty({1000});
    } catch (const std::exception& error) {
      return is_out_of_memory(error);
    }
    return false;
  };
  EXPECT_TRUE(is_known({}));
  EXPECT_TRUE(is_known([] { TORCH_CHECK_WITH(OutOfMemoryError, false, "CUDA out of memory."); }));
  EXPECT_TRUE(is_known([] { throw std::bad_alloc(); }));
  EXPECT_FALSE(is_known([] { TORCH_CHECK(false, "the shape is wrong"); }));
  // LibTorch's own words.
  try {
    c10::GetDefaultCPUAllocator()->allocate(std::size_t{1} << 60);
    FAIL();
  } catch (const std::exception& error) {
    EXPECT_TRUE(is_out_of_memory(error)) << error.what();
  }
}

TEST(OutOfMemory, SmallerMicroBatchesNeedLess) {
  peak_of(8);  // tables that are made once
  const std::size_t whole = peak_of(8);
  EXPECT_EQ(whole, peak_of(0));
  const std::size_t half = peak_of(4);
  EXPECT_LT(half, 0.75 * static_cast<double>(whole));
  EXPECT_LT(static_cast<double>(peak_of(1)), 0.5 * static_cast<double>(half));
}

TEST(OutOfMemory, HalvesMicroBatchesAndGivesWhatTheSmallerOnesGiveFromTheStart) {
  const std::size_t room = (peak_of(2) + peak_of(4)) / 2;
  model::Model expected = make_model();
  const Result small = trained(expected, 2);
  const std::vector<std::function<void()>> failures{{}, [] { throw std::bad_alloc(); }};
  for (const auto& fail : failures) {
    model::Model model = make_model();
    const MemoryLimit limit(memory.live() + room, fail);
    const Result result = trained(model);
    EXPECT_EQ(memory.refusals(), 2) << "8 → 4 → 2, in the first step";
    EXPECT_EQ(result.end, End::completed);
    EXPECT_EQ(result.steps, 6);
    EXPECT_EQ(result.micro_batch_tokens, 2 * length);
    EXPECT_EQ(bits(result), bits(small));
    EXPECT_TRUE(same_weights(model, expected));
  }
}

TEST(OutOfMemory, LosesNothingOfAStepWhereverItHappens) {
  model::Model expected = make_model();
  const Result small = trained(expected, 4);
  const std::size_t whole = peak_of(0);
  // Where in a step memory runs out: from the first allocation of the forward pass to the last ones of the backward pass.
  for (const double share : {0.55, 0.7, 0.85, 0.95, 0.99}) {
    model::Model model = make_model();
    const MemoryLimit limit(memory.live() + static_cast<std::size_t>(share * static_cast<double>(whole)));
    const Result result = trained(model);
    ASSERT_EQ(memory.refusals(), 1) << share;
    EXPECT_EQ(bits(result), bits(small)) << share;
    EXPECT_TRUE(same_weights(model, expected)) << share;
  }
}

TEST(OutOfMemory, InALaterStepKeepsWhatWasLearned) {
  model::Model model = make_model();
  const auto result = train(model, ToyTask({.length = length}), options(), 1, never, [&](const Point& point, std::int64_t) {
    if (point.step == 3) memory.limit(memory.live() + peak_of(4));
  });
  memory.unlimited();
  EXPECT_EQ(result.steps, 6);
  EXPECT_EQ(result.micro_batch_tokens, 4 * length);
  model::Model whole = make_model();
  const auto undisturbed = trained(whole);
  for (std::size_t i = 0; i < 6; ++i) EXPECT_NEAR(result.curve[i].train_loss, undisturbed.curve[i].train_loss, 1e-5) << i;
  for (std::size_t i = 0; i < 3; ++i) EXPECT_EQ(result.curve[i].train_loss, undisturbed.curve[i].train_loss);
}

TEST(OutOfMemory, WithOneSequenceEndsTheAttemptWithTheReason) {
  model::Model model = make_model();
  const MemoryLimit limit(memory.live() + peak_of(1) / 2);
  try {
    trained(model);
    FAIL();
  } catch (const Failure& failure) {
    EXPECT_THAT(failure.what(), HasSubstr("out of memory with micro-batches of one sequence"));
    EXPECT_THAT(failure.what(), HasSubstr("can't allocate memory"));
  }
  for (const auto& parameter : model.parameters()) EXPECT_FALSE(parameter.value.grad().defined()) << parameter.name;
}

TEST(OutOfMemory, InAnEvaluationCountsEveryTokenOnceAllTheSame) {
  model::Model model = make_model();
  const ToyTask task({.accuracy = true, .held_out = 40, .length = length});
  const std::size_t before = memory.live();
  memory.start();
  const Quality whole = evaluate(model, task, tasks::Split::validation, never);
  const std::size_t peak = memory.peak() - before;
  const MemoryLimit limit(before + peak / 2);
  const Quality parts = evaluate(model, task, tasks::Split::validation, never);
  EXPECT_GT(memory.refusals(), 0);
  EXPECT_EQ(parts.tokens, whole.tokens);
  EXPECT_NEAR(parts.loss, whole.loss, 1e-6);
  EXPECT_NEAR(parts.accuracy, whole.accuracy, 1e-9);
}

}  // namespace
}  // namespace starling::training
