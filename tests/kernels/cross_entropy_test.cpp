#include "support.hpp"

#include <starling/kernels/cross_entropy_device.hpp>

#include <memory>

namespace starling::kernels {
namespace {

class CrossEntropyTest : public AtEachEngine {};

struct Result {
  CrossEntropySums sums;
  Arrays arrays;
};

template <class T, class Engine>
Result run_case(std::int64_t rows, std::int64_t vocabulary, const Numbers& in, const std::vector<std::int64_t>& targets, Engine engine) {
  const auto logits = as<T>(in);
  std::vector<T> gradient(rows * vocabulary);
  std::vector<Compute<T>> losses(rows);
  std::vector<std::int64_t> predictions(rows);
  const auto sums = std::make_unique<CrossEntropySums>();
  engine(CrossEntropy<T>{logits.data(), targets.data(), gradient.data(), losses.data(), predictions.data(), sums.get(), rows, vocabulary,
                         vocabulary + 1, vocabulary, Compute<T>(0.25)});
  Result result{*sums, {}};
  result.arrays = {{"losses", numbers_of(losses)}, {"dlogits", numbers_of(gradient)}, {"predictions", numbers_of(predictions)}};
  return result;
}

TEST_P(CrossEntropyTest, AgreesWithTheReferenceAndIgnoresRows) {
  Stream stream = test_stream(1);
  for (std::int64_t vocabulary : {1, 2, 15, 16, 100, 257, 1500}) {
    constexpr std::int64_t rows = 6;
    const Numbers logits = normal_numbers(stream, rows * (vocabulary + 1), 4);
    std::vector<std::int64_t> targets;
    for (std::int64_t r = 0; r < rows; ++r)
      targets.push_back(static_cast<std::int64_t>(stream.below(static_cast<std::uint64_t>(vocabulary))));
    targets[2] = ignored_target;
    const Result expected = run_case<double>(rows, vocabulary, logits, targets, naive);
    for (const Result& found :
         {run_case<float>(rows, vocabulary, logits, targets, kernel), run_case<double>(rows, vocabulary, logits, targets, kernel)}) {
      expect_close(found.arrays, expected.arrays, 5e-6);
      EXPECT_NEAR(found.sums.loss, expected.sums.loss, 1e-5 * (1 + expected.sums.loss));
      EXPECT_EQ(found.sums.count, rows - 1);
      EXPECT_EQ(found.sums.correct, expected.sums.correct);
    }
    EXPECT_EQ(counted_targets(targets.data(), rows), rows - 1);
  }
}

TEST(CrossEntropyOnADevice, GivesTheSameBitsInAnyOrderOfThreads) {
  Stream stream = test_stream(5);
  const std::vector<std::int64_t> targets{3, ignored_target, 1299, 0};
  const Numbers logits = normal_numbers(stream, 4 * 1301);
  expect_same_in_any_order([&] {
    Result result = run_case<float>(4, 1300, logits, targets, kernel);
    result.arrays["loss"] = {result.sums.loss};
    return result.arrays;
  });
}

TEST_P(CrossEntropyTest, TheGradientIsACentralDifference) {
  Stream stream = test_stream(2);
  const std::vector<std::int64_t> targets{3, ignored_target, 0};
  Numbers logits = normal_numbers(stream, 3 * 6);
  const Numbers found = run_case<double>(3, 5, logits, targets, kernel).arrays.at("dlogits");
  for (std::int64_t r = 0; r < 3; ++r)
    for (std::int64_t v = 0; v < 5; ++v) {
      double& x = logits[r * 6 + v];
      const double kept = x;
      x = kept + 1e-5;
      const double above = run_case<double>(3, 5, logits, targets, kernel).sums.loss;
      x = kept - 1e-5;
      const double below = run_case<double>(3, 5, logits, targets, kernel).sums.loss;
      x = kept;
      EXPECT_NEAR(found[r * 5 + v], 0.25 * (above - below) / 2e-5, 1e-8);
    }
}

TEST_P(CrossEntropyTest, WorksInPlaceAndWithoutAGradient) {
  Stream stream = test_stream(3);
  const Numbers logits = normal_numbers(stream, 4 * 33);
  const std::vector<std::int64_t> targets{0, 32, 5, 5};
  auto in_place = as<float>(logits);
  auto apart = as<float>(logits);
  std::vector<float> gradient(apart.size());
  CrossEntropy<float> call{.logits = apart.data(),
                           .targets = targets.data(),
                           .dlogits = gradient.data(),
                           .rows = 4,
                           .vocabulary = 33,
                           .logits_stride = 33,
                           .dlogits_stride = 33};
  const auto loss_of = [](CrossEntropy<float> arguments) {
    const auto written = std::make_unique<CrossEntropySums>();
    arguments.sums = written.get();
    kernel(arguments);
    return written->loss;
  };
  const double loss = loss_of(call);
  call.dlogits = nullptr;
  EXPECT_EQ(loss_of(call), loss);
  call.logits = call.dlogits = in_place.data();
  EXPECT_EQ(loss_of(call), loss);
  EXPECT_EQ(in_place, gradient);
}

TEST_P(CrossEntropyTest, LargeLogitsStayFiniteAndNonFiniteOnesShow) {
  const std::vector<std::int64_t> targets{1};
  const auto loss = [&](Numbers logits) {
    logits.push_back(0);
    return run_case<float>(1, 20, logits, targets, kernel).sums.loss;
  };
  Numbers logits(20, 0.0);
  logits[0] = 1e4;
  EXPECT_EQ(loss(logits), 1e4);
  logits[0] = -infinity;
  EXPECT_NEAR(loss(logits), std::log(19.0), 1e-6);
  logits[1] = -infinity;
  EXPECT_EQ(loss(logits), infinity);
  logits[1] = 0;
  for (std::size_t at : {0, 7, 19}) {
    for (double bad : {not_a_number, infinity}) {
      Numbers broken(20, 0.0);
      broken[at] = bad;
      EXPECT_TRUE(std::isnan(loss(broken))) << at << " " << bad;
    }
  }
}

TEST_P(CrossEntropyTest, InBfloat16LossesAreThoseOfFloatAndTheGradientIsTheirsRounded) {
  Stream stream = test_stream(4);
  for (const std::int64_t vocabulary : {1, 15, 16, 257, 1030}) {
    Arrays in = rounded({{"logits", normal_numbers(stream, 5 * (vocabulary + 1), 4)}});
    const std::vector<std::int64_t> targets{0, vocabulary - 1, ignored_target, vocabulary / 2, 0};
    const auto compare = [&] {
      const Result found = run_case<bfloat16>(5, vocabulary, in.at("logits"), targets, kernel);
      const Result expected = run_case<float>(5, vocabulary, in.at("logits"), targets, kernel);
      expect_close({found.sums.loss}, {expected.sums.loss}, 0, "loss");
      EXPECT_EQ(found.sums.correct, expected.sums.correct);
      EXPECT_EQ(found.arrays.at("predictions"), expected.arrays.at("predictions"));
      expect_rounded(found.arrays, expected.arrays);
      // Of the target p − 1 is rounded, not p before it.
      for (std::size_t i = 0; i < expected.arrays.at("dlogits").size(); ++i) {
        const double x = expected.arrays.at("dlogits")[i];
        const double error = std::abs(found.arrays.at("dlogits")[i] - x);
        EXPECT_TRUE(std::isnan(x) || error <= 0x1p-8 * std::abs(x) + 1e-7) << i;
      }
    };
    compare();
    in.at("logits")[0] = not_a_number;
    compare();
  }
}

INSTANTIATE_TEST_SUITE_P(Engines, CrossEntropyTest, ::testing::ValuesIn(engines()), engine_label);

}  // namespace
}  // namespace starling::kernels
