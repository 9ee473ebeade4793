#include "support.hpp"

#include <starling/kernels/rope_device.hpp>

namespace starling::kernels {
namespace {

class RotaryEmbedding : public AtEachEngine {};

struct Shape {
  std::int64_t batch;
  std::int64_t length;
  std::int64_t heads;
  std::int64_t width;
  std::int64_t gap = 2;  // between rows
};

template <class T>
Rope<T> rotation(const Shape& s, const T* x, T* y, const std::vector<Compute<T>>& cosine, const std::vector<Compute<T>>& sine) {
  const std::int64_t head = s.width + s.gap;
  return {.x = x,
          .y = y,
          .cosine = cosine.data(),
          .sine = sine.data(),
          .batch = s.batch,
          .length = s.length,
          .heads = s.heads,
          .head_width = s.width,
          .x_batch_stride = s.length * s.heads * head,
          .x_token_stride = s.heads * head,
          .x_head_stride = head,
          .y_batch_stride = s.length * s.heads * head,
          .y_token_stride = s.heads * head,
          .y_head_stride = head};
}

template <class T, class Engine>
Arrays run_case(const Shape& s, const Arrays& in, std::int64_t position, Engine engine) {
  const auto x = as<T>(in.at("x")), dy = as<T>(in.at("dy"));
  std::vector<Compute<T>> cosine(s.length * s.width / 2), sine(cosine.size());
  std::vector<T> y = zeros_like(x), dx = zeros_like(x);
  rope_table(cosine.data(), sine.data(), position, s.length, s.width);
  engine(rotation(s, x.data(), y.data(), cosine, sine));
  Rope<T> back = rotation(s, dy.data(), dx.data(), cosine, sine);
  back.inverse = true;
  engine(back);
  return {{"y", numbers_of(y)}, {"dx", numbers_of(dx)}};
}

Arrays inputs(const Shape& s) {
  Stream stream = test_stream(static_cast<std::uint64_t>(s.length * 100 + s.width));
  const std::int64_t count = s.batch * s.length * s.heads * (s.width + s.gap);
  return {{"x", normal_numbers(stream, count)}, {"dy", normal_numbers(stream, count)}};
}

TEST_P(RotaryEmbedding, AgreesWithTheReference) {
  for (const Shape& s :
       {Shape{1, 1, 1, 2}, Shape{2, 7, 3, 24}, Shape{1, 5, 2, 64}, Shape{2, 3, 1, 70}, Shape{2, 7, 3, 24, 8}, Shape{1, 5, 2, 64, 0}}) {
    const Arrays in = inputs(s);
    const Arrays expected = run_case<double>(s, in, 11, naive);
    expect_close(run_case<float>(s, in, 11, kernel), expected, 1e-6);
    expect_close(run_case<double>(s, in, 11, kernel), expected, 1e-14);
  }
}

TEST_P(RotaryEmbedding, TheBackwardPassIsTheGradient) {
  const Shape s{1, 3, 2, 6};
  expect_gradients([&](const Arrays& in) { return run_case<double>(s, in, 2, kernel); }, inputs(s), "y", "dy");
}

TEST_P(RotaryEmbedding, KeepsLengthsAndDependsOnDistanceOnly) {
  const Shape s{1, 2, 1, 16};
  const Arrays in = inputs(s);
  const auto dot = [](const Numbers& y) {
    double total = 0;
    for (std::size_t i = 0; i < 16; ++i) total += y[i] * y[18 + i];
    return total;
  };
  const double near = dot(run_case<double>(s, in, 0, kernel).at("y"));
  const double far = dot(run_case<double>(s, in, 5000, kernel).at("y"));
  EXPECT_NEAR(near, far, 1e-9);
  double before = 0, after = 0;
  const Numbers y = run_case<double>(s, in, 77, kernel).at("y");
  for (std::size_t i = 18; i < 34; ++i) {
    before += in.at("x")[i] * in.at("x")[i];
    after += y[i] * y[i];
  }
  EXPECT_NEAR(before, after, 1e-12);
}

TEST_P(RotaryEmbedding, WorksInPlace) {
  const Shape s{2, 5, 3, 24};
  const Arrays in = inputs(s);
  auto x = as<float>(in.at("x"));
  std::vector<float> cosine(5 * 12), sine(5 * 12);
  rope_table(cosine.data(), sine.data(), 0, 5, 24);
  kernel(rotation(s, x.data(), x.data(), cosine, sine));
  const Numbers expected = run_case<float>(s, in, 0, kernel).at("y");
  for (std::size_t i = 0; i < x.size(); ++i) {
    if (i % 26 < 24) {
      EXPECT_EQ(x[i], expected[i]);
    }
  }
}

TEST_P(RotaryEmbedding, InBfloat16IsTheSameRounded) {
  for (const Shape& s : {Shape{1, 3, 1, 2}, Shape{2, 7, 3, 24}, Shape{2, 3, 1, 70}, Shape{2, 7, 3, 24, 8}}) {
    Arrays in = rounded(inputs(s));
    in.at("x")[0] = not_a_number;
    in.at("dy")[1] = infinity;
    expect_rounded(run_case<bfloat16>(s, in, 11, kernel), run_case<float>(s, in, 11, kernel));
  }
}

TEST(RotaryEmbeddingOnADevice, GivesTheSameBitsInAnyOrderOfThreads) {
  const Shape s{2, 40, 3, 24};
  const Arrays in = inputs(s);
  expect_same_in_any_order([&] { return run_case<float>(s, in, 3, kernel); });
}

INSTANTIATE_TEST_SUITE_P(Engines, RotaryEmbedding, ::testing::ValuesIn(engines()), engine_label);

}  // namespace
}  // namespace starling::kernels
