#include "support.hpp"

#include <starling/kernels/rms_norm_device.hpp>

namespace starling::kernels {
namespace {

class RmsNorm : public AtEachEngine {};

template <class T, class X = T, class Engine>
Arrays run_case(std::int64_t rows, std::int64_t width, const Arrays& in, Engine engine) {
  using C = Compute<T>;
  const auto x = as<X>(in.at("x"));
  const auto weight = as<C>(in.at("weight"));
  const auto dy = as<T>(in.at("dy"));
  std::vector<T> y(x.size());
  std::vector<X> dx(x.size());
  std::vector<C> inverse(rows), dweight(width, C(0));
  engine(RmsNormForward<T, X>{x.data(), weight.data(), y.data(), inverse.data(), rows, width, C(1e-5)});
  engine(RmsNormBackward<T, X>{x.data(), weight.data(), inverse.data(), dy.data(), dx.data(), dweight.data(), rows, width});
  return {{"y", numbers_of(y)}, {"dx", numbers_of(dx)}, {"dweight", numbers_of(dweight)}};
}

Arrays inputs(std::int64_t rows, std::int64_t width) {
  Stream stream = test_stream(static_cast<std::uint64_t>(rows * 1000 + width));
  return {{"x", normal_numbers(stream, rows * width, 3)},
          {"weight", normal_numbers(stream, width)},
          {"dy", normal_numbers(stream, rows * width)}};
}

TEST_P(RmsNorm, AgreesWithTheReferenceOnAnyShape) {
  for (std::int64_t rows : {1, 5})
    for (std::int64_t width : {1, 3, 16, 24, 33, 96, 130}) {
      const Arrays in = inputs(rows, width);
      const Arrays expected = run_case<double>(rows, width, in, naive);
      expect_close(run_case<float>(rows, width, in, kernel), expected, 2e-5);
      expect_close(run_case<double>(rows, width, in, kernel), expected, 1e-13);
    }
}

TEST_P(RmsNorm, AgreesWithTheReferenceOnManyRowsAndOnWideOnes) {
  for (const auto& [rows, width] : {std::pair<std::int64_t, std::int64_t>{300, 12}, {70, 7}, {3, 6200}, {5, 6201}}) {
    const Arrays in = inputs(rows, width);
    expect_close(run_case<float>(rows, width, in, kernel), run_case<double>(rows, width, in, naive), 2e-5);
  }
}

TEST(RmsNormOnADevice, GivesTheSameBitsInAnyOrderOfThreads) {
  for (const auto& [rows, width] : {std::pair<std::int64_t, std::int64_t>{300, 12}, {3, 6201}}) {
    const Arrays in = inputs(rows, width);
    expect_same_in_any_order([&, r = rows, w = width] { return run_case<float>(r, w, in, kernel); });
  }
}

TEST_P(RmsNorm, GradientsAreCentralDifferences) {
  expect_gradients([](const Arrays& in) { return run_case<double>(3, 5, in, kernel); }, inputs(3, 5), "y", "dy");
}

TEST_P(RmsNorm, AddsToTheWeightGradientAndWorksInPlace) {
  Arrays in = inputs(4, 20);
  const Arrays apart = run_case<float>(4, 20, in, kernel);
  auto x = as<float>(in.at("x"));
  const auto saved = x, weight = as<float>(in.at("weight"));
  auto dy = as<float>(in.at("dy"));
  std::vector<float> inverse(4), dweight(20, 2.0f);
  kernel(RmsNormForward<float>{x.data(), weight.data(), x.data(), inverse.data(), 4, 20, 1e-5f});
  EXPECT_EQ(numbers_of(x), apart.at("y"));
  kernel(RmsNormBackward<float>{saved.data(), weight.data(), inverse.data(), dy.data(), dy.data(), dweight.data(), 4, 20});
  EXPECT_EQ(numbers_of(dy), apart.at("dx"));
  for (std::size_t i = 0; i < 20; ++i) EXPECT_NEAR(dweight[i], 2 + apart.at("dweight")[i], 1e-5);
}

TEST_P(RmsNorm, ANaNReachesItsRowAndNoOther) {
  Arrays in = inputs(3, 17);
  in.at("x")[17 + 4] = not_a_number;
  const Numbers y = run_case<float>(3, 17, in, kernel).at("y");
  for (std::size_t i = 0; i < y.size(); ++i) EXPECT_EQ(std::isnan(y[i]), i / 17 == 1) << i;
}

TEST_P(RmsNorm, InBfloat16IsTheSameRounded) {
  for (std::int64_t width : {1, 15, 96, 130}) {
    Arrays in = rounded(inputs(4, width));
    expect_rounded(run_case<bfloat16>(4, width, in, kernel), run_case<float>(4, width, in, kernel));
    expect_rounded(run_case<bfloat16, float>(4, width, in, kernel), run_case<float>(4, width, in, kernel));
    in.at("x")[0] = not_a_number;
    in.at("x")[static_cast<std::size_t>(2 * width)] = infinity;
    expect_rounded(run_case<bfloat16>(4, width, in, kernel), run_case<float>(4, width, in, kernel));
  }
}

INSTANTIATE_TEST_SUITE_P(Engines, RmsNorm, ::testing::ValuesIn(engines()), engine_label);

}  // namespace
}  // namespace starling::kernels
