// What training needs of memory, and what it does without. A program of its own: it replaces LibTorch's allocator.
#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include <bit>
#include <functional>
#include <new>

#include <starling/base/error.hpp>
#include <starling/genome/baselines.hpp>
#include <starling/operators/functions/composed_attention.hpp>
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
  EXPECT_TRUE(is_known([] { TORCH_CHECK(false, "CUDA error: out of memory"); }));
  EXPECT_TRUE(is_known([] { TORCH_CHECK(false, "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"); }));
  EXPECT_TRUE(is_known([] { throw std::runtime_error("CUDA refuses a kernel: out of memory"); }));
  EXPECT_FALSE(is_known([] { TORCH_CHECK(false, "CUDA error: an illegal memory access was encountered"); }));
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
  for (const double share : {0.65, 0.75, 0.85, 0.95, 0.99}) {
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

TEST(ComposedAttention, HasNoTensorOfAllQueriesAndKeys) {
  constexpr std::int64_t tokens = 512, heads = 4, width = 32;
  std::vector<at::Tensor> inputs;
  for (int i = 0; i < 3; ++i) inputs.push_back(at::ones({1, tokens, width}).set_requires_grad(true));
  const auto peak_of_chunks = [&](std::int64_t elements) {
    const std::size_t before = memory.live();
    memory.start();
    operators::composed_attention(inputs[0], inputs[1], inputs[2], {heads, heads, heads}, {}, operators::AttentionForm::chunks, elements)
        .sum()
        .backward();
    return static_cast<double>(memory.peak() - before);
  };
  const double whole = heads * tokens * tokens * sizeof(float);
  EXPECT_GT(peak_of_chunks(heads * tokens * tokens), whole);
  EXPECT_LT(peak_of_chunks(heads * tokens * 16), 0.5 * whole);
}

/// Most bytes of one pass forward and backward over eight sequences, besides the gradients of the weights.
double peak_of_a_pass(const model::Model& model, bool recompute) {
  const tasks::Batch batch = ToyTask({.length = length}).training_batch(1, 0, 8);
  double gradients = 0;
  for (const auto& parameter : model.parameters()) {
    parameter.value.mutable_grad().reset();
    gradients += static_cast<double>(parameter.value.nbytes());
  }
  const std::size_t before = memory.live();
  memory.start();
  model.loss(batch.inputs, batch.targets, {.dropout = 0.1, .recompute = recompute}).backward();
  return static_cast<double>(memory.peak() - before) - gradients;
}

TEST(Recomputation, KeepsTheResidualStreamAndTheActivationsOfOneLiv) {
  for (const auto* const name : {"transformer++", "striped-mamba", "striped-hyena"}) {
    for (const auto type : {at::kFloat, at::kBFloat16}) {
      const auto& catalogue = genome::Catalogue::liquid();
      const auto model_of = [&](std::size_t depth) {
        return model::Model(catalogue, genome::genome_or_baseline(catalogue, name, depth),
                            {.width = 32, .length = length, .vocabulary = 11}, 1, model::Model::Initialization::glorot, type);
      };
      const auto shallow = model_of(8);
      const auto deep = model_of(16);
      peak_of_a_pass(deep, true);  // tables that are made once
      const double kept = peak_of_a_pass(deep, false);
      const double again = peak_of_a_pass(deep, true);
      EXPECT_LT(again, 0.35 * kept) << name << c10::toString(type);
      // Eight LIVs more are eight times the residual stream more, and, where there are rounded weights, their views.
      const double stream = 8.0 * length * 32 * sizeof(float);
      EXPECT_LT(again - peak_of_a_pass(shallow, true), 8 * 1.1 * stream) << name << c10::toString(type);
    }
  }
}

TEST(Recomputation, FitsWhereAWholeBatchDoesNotAndIsHalvedToo) {
  Options recomputing = options();
  recomputing.recompute = true;
  const auto run = [&](std::int64_t micro_batch) {
    model::Model model = make_model("transformer++");
    recomputing.micro_batch_tokens = micro_batch * length;
    return train(model, ToyTask({.length = length}), recomputing, 1, never);
  };
  const auto peak = [&](std::int64_t micro_batch) {
    const std::size_t before = memory.live();
    memory.start();
    run(micro_batch);
    return memory.peak() - before;
  };
  peak(8);  // tables that are made once
  const Result small = run(4);
  const std::size_t room = (peak(4) + peak(8)) / 2;
  const MemoryLimit limit(memory.live() + room);
  const Result result = run(0);
  EXPECT_EQ(memory.refusals(), 1);
  EXPECT_EQ(result.micro_batch_tokens, 4 * length);
  EXPECT_EQ(bits(result), bits(small));
}

/// Most bytes of a pass over `sequences`, besides the gradients of the weights.
double peak_of(const genome::Genome& genome, const genome::Dimensions& dimensions, at::ScalarType type, bool recompute,
               std::int64_t sequences) {
  const model::Model model(genome::Catalogue::liquid(), genome, dimensions, 1, model::Model::Initialization::glorot, type);
  double gradients = 0;
  for (const auto& parameter : model.parameters()) gradients += static_cast<double>(parameter.value.nbytes());
  const tasks::Batch batch = ToyTask({.length = dimensions.length}).training_batch(1, 0, sequences);
  for (int pass = 0; pass < 2; ++pass) {  // the first makes the tables that are made once
    for (const auto& parameter : model.parameters()) parameter.value.mutable_grad().reset();
    memory.start();
    const double before = static_cast<double>(memory.live());
    model.loss(batch.inputs, batch.targets, {.recompute = recompute}).backward();
    if (pass == 1) return static_cast<double>(memory.peak()) - before - gradients;
  }
  return 0;
}

TEST(Account, BoundsWhatTheActivationsOfEveryClassTake) {
  const auto& catalogue = genome::Catalogue::liquid();
  constexpr genome::Dimensions dimensions{.width = 32, .length = 160, .vocabulary = 11};
  for (const auto& liv_class : catalogue.classes()) {
    genome::Genome genome;
    genome.livs.assign(4, {.liv_class = static_cast<std::int16_t>(liv_class.id)});
    const auto account = genome::account(catalogue, genome, dimensions);
    for (const auto type : {at::kFloat, at::kBFloat16}) {
      for (const bool recompute : {false, true}) {
        const auto bytes = account.activation_bytes(dimensions.width, type == at::kFloat ? 4 : 2, recompute);
        // What two sequences take, and what two others take more.
        constexpr std::int64_t tokens = 2 * dimensions.length;
        const double two = peak_of(genome, dimensions, type, recompute, 2);
        const double more = (peak_of(genome, dimensions, type, recompute, 4) - two) / static_cast<double>(tokens);
        const auto where = liv_class.name + " " + c10::toString(type) + (recompute ? " again" : "");
        EXPECT_LE(more, static_cast<double>(bytes.per_token)) << where;
        EXPECT_GE(more, (recompute ? 0.25 : 0.5) * static_cast<double>(bytes.per_token)) << where;
        EXPECT_LE(two, static_cast<double>(tokens * bytes.per_token + bytes.fixed)) << where;
      }
    }
  }
}

TEST(Account, BoundsWhatALargeVocabularyTakes) {
  const auto& catalogue = genome::Catalogue::liquid();
  const auto genome = genome::genome_or_baseline(catalogue, "transformer++", 2);
  // The logits are most of it where the width is small, the gradients of the embedding where it is large.
  for (const std::int64_t width : {32, 256}) {
    const genome::Dimensions dimensions{.width = width, .length = 32, .vocabulary = 65'536};
    const auto account = genome::account(catalogue, genome, dimensions);
    for (const auto type : {at::kFloat, at::kBFloat16}) {
      const std::int64_t element_bytes = type == at::kFloat ? 4 : 2;
      const auto activations = account.activation_bytes(width, element_bytes, false);
      constexpr std::int64_t tokens = 8 * 32;
      const auto bound =
          account.gradient_bytes() + account.logit_bytes(tokens, element_bytes, false) + tokens * activations.per_token + activations.fixed;
      const double left_out = 4 * static_cast<double>(account.parameters.total());  // by peak_of
      const double taken = peak_of(genome, dimensions, type, false, 8) + left_out;
      EXPECT_LE(taken, static_cast<double>(bound)) << width << c10::toString(type);
      // LibTorch 1.13 takes two thirds of it and more, 2.6 once 0.56; the copies in bfloat16 are made by some processors only.
      const auto copies = type == at::kFloat ? 0 : account.logit_bytes(tokens, 2, false) - account.logit_bytes(tokens, 2, true);
      EXPECT_GE(taken, 0.5 * static_cast<double>(bound - copies)) << width << c10::toString(type);
    }
  }
}

/// That the account is no less than what each further token takes in a pass, and not far more.
void expect_bound(const std::string& text, const genome::Dimensions& dimensions, at::ScalarType type, bool recompute) {
  const auto& catalogue = genome::Catalogue::liquid();
  const auto genome = genome::parse_genome(text);
  const auto bytes = genome::account(catalogue, genome, dimensions).activation_bytes(dimensions.width, type == at::kFloat ? 4 : 2, recompute);
  const double more = (peak_of(genome, dimensions, type, recompute, 8) - peak_of(genome, dimensions, type, recompute, 4)) /
                      static_cast<double>(4 * dimensions.length);
  const auto where = text + " " + c10::toString(type) + (recompute ? " again" : "");
  EXPECT_LE(more, static_cast<double>(bytes.per_token)) << where;
  EXPECT_GE(more, (recompute ? 0.25 : 0.5) * static_cast<double>(bytes.per_token)) << where;
}

TEST(Account, BoundsWhatActivationsTakeThatAreShared) {
  const genome::Dimensions dimensions{.width = 32, .length = 128, .vocabulary = 11};
  for (const auto* const text :
       {"11112-11113-11112-11114-61112-61113-61112", "4111110-6111110-8111110-11211-81112-81112-81112",
        "2111210-2111310-2111410-71112-7111220-8111120", "4111110-4111110-4111110-4111110-4111110-4111110-4111110-4111110",
        "1111210-8111110-1111210-8111110-1111210-8111110", "11112-11122-11132-11112-11122-11132", "1111101-8111101-4111101-7111101"}) {
    for (const bool recompute : {false, true}) {
      for (const auto type : {at::kFloat, at::kBFloat16}) expect_bound(text, dimensions, type, recompute);
    }
  }
}

TEST(Account, BoundsWhatActivationsOfEvolvedClassesTake) {
  for (const auto* const segment :
       {"61111:00300", "71111:00300", "6111101:00300", "81111::004000:004000", "81111::005000:005000", "21111:00200", "21111:00300", "11111:00200"}) {
    std::string text = segment;
    for (int i = 1; i < 4; ++i) text += std::string("-") + segment;
    for (const std::int64_t band : {127, 96, 40, 32}) {
      const genome::Dimensions dimensions{.width = 32, .length = 128, .vocabulary = 11, .band = band};
      for (const auto type : {at::kFloat, at::kBFloat16}) expect_bound(text, dimensions, type, false);
    }
  }
}

}  // namespace
}  // namespace starling::training
