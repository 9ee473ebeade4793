#include "support.hpp"

#include <starling/kernels/adamw_device.hpp>

#include <memory>

namespace starling::kernels {
namespace {

class AdamWTest : public AtEachEngine {};

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
  kernel(AdamW<float>{
      .parameter = p.data(), .gradient = g.data(), .first = m.data(), .second = v.data(), .count = 3, .step = 1, .learning_rate = 0.1});
  EXPECT_NEAR(p[0], 0.9, 1e-5);
  EXPECT_NEAR(p[1], 1.1, 1e-5);
  EXPECT_EQ(p[2], 1);
}

TEST_P(AdamWTest, TakesAFactorFromTheMemoryOfTheArrays) {
  const auto factor = std::make_unique<double>(0.125);
  const auto stepped = [&](double scale, const double* further) {
    Stream stream = test_stream(5);
    auto p = as<float>(normal_numbers(stream, 103));
    const auto g = as<float>(normal_numbers(stream, 103));
    std::vector<float> m(103, 0.0f), v(103, 0.0f);
    kernel(AdamW<float>{.parameter = p.data(),
                        .gradient = g.data(),
                        .first = m.data(),
                        .second = v.data(),
                        .count = 103,
                        .learning_rate = 0.1,
                        .gradient_scale = scale,
                        .gradient_factor = further});
    return Arrays{{"parameter", numbers_of(p)}, {"first", numbers_of(m)}, {"second", numbers_of(v)}};
  };
  EXPECT_EQ(stepped(0.5, factor.get()), stepped(0.0625, nullptr));
  EXPECT_NE(stepped(0.5, factor.get()), stepped(0.5, nullptr));
}

/// Of all tensors one call for the list, or one for each.
template <class T>
Arrays step_tensors(const std::vector<std::int64_t>& counts, bool as_list) {
  Stream stream = test_stream(31);
  std::vector<std::vector<T>> parameter, gradient, first, second;
  std::vector<std::vector<bfloat16>> rounded;
  for (const std::int64_t count : counts) {
    parameter.push_back(as<T>(normal_numbers(stream, count)));
    gradient.push_back(as<T>(normal_numbers(stream, count)));
    first.push_back(as<T>(normal_numbers(stream, count)));
    second.push_back(std::vector<T>(static_cast<std::size_t>(count), T(2)));
    rounded.emplace_back(static_cast<std::size_t>(count));
  }
  std::vector<AdamW<T>> calls;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    calls.push_back({.parameter = parameter[i].data(),
                     .gradient = gradient[i].data(),
                     .first = first[i].data(),
                     .second = second[i].data(),
                     .count = counts[i],
                     .step = 3,
                     .learning_rate = 1e-2,
                     .weight_decay = i % 2 ? 0.1 : 0.0});
    if constexpr (sizeof(T) == sizeof(float)) calls.back().rounded = i % 3 ? rounded[i].data() : nullptr;
  }
  if (as_list)
    kernel(AdamWList<T>{calls.data(), static_cast<std::int64_t>(calls.size())});
  else
    for (const auto& call : calls) kernel(call);
  Arrays out;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    out["parameter" + std::to_string(i)] = numbers_of(parameter[i]);
    out["first" + std::to_string(i)] = numbers_of(first[i]);
    out["second" + std::to_string(i)] = numbers_of(second[i]);
    out["rounded" + std::to_string(i)] = numbers_of(rounded[i]);
  }
  return out;
}

TEST_P(AdamWTest, AListIsItsTensorsOneByOne) {
  std::vector<std::int64_t> counts{4097, 0, 1, 7, 9000};
  for (std::int64_t count = 1; count <= 50; ++count) counts.push_back(count);
  EXPECT_EQ(step_tensors<float>(counts, true), step_tensors<float>(counts, false));
  EXPECT_EQ(step_tensors<double>(counts, true), step_tensors<double>(counts, false));
}

TEST(AdamWOnADevice, GivesTheSameBitsInAnyOrderOfThreads) {
  expect_same_in_any_order([] { return step_tensors<float>({4097, 7, 30}, true); });
  Stream stream = test_stream(8);
  const auto x = as<float>(normal_numbers(stream, 9000));
  expect_same_in_any_order([&] {
    const auto sum = std::make_unique<double>();
    kernel(SumOfSquares<float>{x.data(), 9000, sum.get()});
    return Arrays{{"sum", {*sum}}};
  });
}

TEST_P(AdamWTest, TheSumOfSquaresIsExactInDoubleAndShowsNaN) {
  const auto squares = []<class T>(const std::vector<T>& x) {
    auto sum = std::make_unique<double>();
    kernel(SumOfSquares<T>{x.data(), static_cast<std::int64_t>(x.size()), sum.get()});
    return *sum;
  };
  Stream stream = test_stream(9);
  for (std::int64_t count : {0, 1, 63, 64, 1000, 9000}) {
    const Numbers x = normal_numbers(stream, count, 1e3);
    double expected = 0;
    for (double v : x) expected += v * v;
    EXPECT_NEAR(squares(as<float>(x)), expected, 1e-13 * expected);
    EXPECT_NEAR(squares(x), expected, 1e-13 * expected);
  }
  std::vector<float> broken(100, 1.0f);
  broken[50] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_TRUE(std::isnan(squares(broken)));
  broken[50] = 3e38f;
  EXPECT_TRUE(std::isfinite(squares(broken)));
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
    kernel(call);
    call.parameter = parameter.data();
    call.first = first.data();
    call.second = second.data();
    call.rounded = copy.data();
    kernel(call);
    EXPECT_EQ(parameter, alone);
    for (std::size_t i = 0; i < copy.size(); ++i) EXPECT_EQ(copy[i].bits, bfloat16(parameter[i]).bits) << i;
  }
}

INSTANTIATE_TEST_SUITE_P(Engines, AdamWTest, ::testing::ValuesIn(engines()), engine_label);

}  // namespace
}  // namespace starling::kernels
