#include "support.hpp"

namespace starling::kernels {
namespace {

class AdamWTest : public AtEachLevel {};

template <class T, class Engine>
Arrays run_steps(std::int64_t count, Engine engine) {
  Stream stream = test_stream(static_cast<std::uint64_t>(count));
  auto parameter = as<T>(normal_numbers(stream, count));
  std::vector<T> first(count, T(0)), second(count, T(0));
  for (std::int64_t step = 1; step <= 5; ++step) {
    const auto gradient = as<T>(normal_numbers(stream, count));
    engine(AdamW<T>{.parameter = parameter.data(),
                    .gradient = gradient.data(),
                    .first = first.data(),
                    .second = second.data(),
                    .count = count,
                    .step = step,
                    .learning_rate = 1e-2,
                    .weight_decay = 0.1,
                    .gradient_scale = 0.5});
  }
  return {{"parameter", numbers_of(parameter)}, {"first", numbers_of(first)}, {"second", numbers_of(second)}};
}

TEST_P(AdamWTest, AgreesWithTheReferenceOverSeveralSteps) {
  for (std::int64_t count : {1, 16, 1003}) {
    const Arrays expected = run_steps<double>(count, naive);
    expect_close(run_steps<float>(count, kernel), expected, 2e-6);
    expect_close(run_steps<double>(count, kernel), expected, 1e-13);
  }
}

TEST_P(AdamWTest, TheFirstStepMovesByTheLearningRate) {
  std::vector<float> p{1, 1, 1}, m(3, 0.0f), v(3, 0.0f);
  const std::vector<float> g{1e-3f, -50, 0};
  adamw(AdamW<float>{
      .parameter = p.data(), .gradient = g.data(), .first = m.data(), .second = v.data(), .count = 3, .step = 1, .learning_rate = 0.1});
  EXPECT_NEAR(p[0], 0.9, 1e-5);
  EXPECT_NEAR(p[1], 1.1, 1e-5);
  EXPECT_EQ(p[2], 1);
}

TEST_P(AdamWTest, TheSumOfSquaresIsExactInDoubleAndShowsNaN) {
  Stream stream = test_stream(9);
  for (std::int64_t count : {0, 1, 63, 64, 1000}) {
    const Numbers x = normal_numbers(stream, count, 1e3);
    double expected = 0;
    for (double v : x) expected += v * v;
    EXPECT_NEAR(sum_of_squares(as<float>(x).data(), count), expected, 1e-13 * expected);
    EXPECT_NEAR(sum_of_squares(x.data(), count), expected, 1e-13 * expected);
  }
  std::vector<float> broken(100, 1.0f);
  broken[50] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_TRUE(std::isnan(sum_of_squares(broken.data(), 100)));
  broken[50] = 3e38f;
  EXPECT_TRUE(std::isfinite(sum_of_squares(broken.data(), 100)));
}

TEST_P(AdamWTest, WritesTheNewParameterRoundedToo) {
  for (const std::int64_t count : {1, 16, 103}) {
    Stream stream = test_stream(12);
    auto alone = as<float>(normal_numbers(stream, count));
    auto parameter = alone;
    const auto gradient = as<float>(normal_numbers(stream, count));
    std::vector<float> first(count, 0.0f), second(count, 0.0f), first_alone = first, second_alone = second;
    std::vector<bfloat16> copy(count);
    AdamW<float> call{.parameter = alone.data(),
                      .gradient = gradient.data(),
                      .first = first_alone.data(),
                      .second = second_alone.data(),
                      .count = count,
                      .learning_rate = 1e-2};
    adamw(call);
    call.parameter = parameter.data();
    call.first = first.data();
    call.second = second.data();
    call.rounded = copy.data();
    adamw(call);
    EXPECT_EQ(parameter, alone);
    for (std::size_t i = 0; i < copy.size(); ++i) EXPECT_EQ(copy[i].bits, bfloat16(parameter[i]).bits) << i;
  }
}

INSTANTIATE_TEST_SUITE_P(Levels, AdamWTest, ::testing::ValuesIn(supported_levels()), level_label);

}  // namespace
}  // namespace starling::kernels
