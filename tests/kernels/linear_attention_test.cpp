#include <algorithm>

#include "support.hpp"

#include <starling/kernels/linear_attention_device.hpp>

namespace starling::kernels {
namespace {

class LinearAttention : public AtEachEngine {};

/// Rows with a gap between heads, as in a slice of a joint projection.
constexpr std::int64_t gap = 3;

struct Shape {
  std::int64_t batch;
  std::int64_t length;
  std::int64_t heads;
  std::int64_t key_width;
  std::int64_t value_width;
  std::int64_t between = gap;
};

HeadStrides gapped(const Shape& s, std::int64_t width) { return contiguous_heads(s.length, s.heads, width + s.between); }

template <class T, class Engine>
Arrays run_case(const Shape& s, const Arrays& in, Engine engine, bool rounds_y = false) {
  const auto q = as<T>(in.at("q")), k = as<T>(in.at("k")), v = as<T>(in.at("v")), dy = as<T>(in.at("dy"));
  std::vector<T> y = zeros_like(dy), dq = zeros_like(q), dk = zeros_like(k), dv = zeros_like(v);
  std::vector<Compute<T>> inverse_norm(s.batch * s.heads * s.length), state(s.batch * s.heads * s.key_width * s.value_width),
      key_sum(s.batch * s.heads * s.key_width);
  const HeadStrides of_key = gapped(s, s.key_width), of_value = gapped(s, s.value_width);
  engine(LinearAttentionForward<T>{.q = q.data(),
                                   .k = k.data(),
                                   .v = v.data(),
                                   .y = y.data(),
                                   .final_state = state.data(),
                                   .final_key_sum = key_sum.data(),
                                   .inverse_norm = inverse_norm.data(),
                                   .q_strides = of_key,
                                   .k_strides = of_key,
                                   .v_strides = of_value,
                                   .y_strides = of_value,
                                   .batch = s.batch,
                                   .length = s.length,
                                   .heads = s.heads,
                                   .key_width = s.key_width,
                                   .value_width = s.value_width});
  if (rounds_y) round_in_place(y);
  engine(LinearAttentionBackward<T>{.q = q.data(),
                                    .k = k.data(),
                                    .v = v.data(),
                                    .y = y.data(),
                                    .inverse_norm = inverse_norm.data(),
                                    .dy = dy.data(),
                                    .dq = dq.data(),
                                    .dk = dk.data(),
                                    .dv = dv.data(),
                                    .q_strides = of_key,
                                    .k_strides = of_key,
                                    .v_strides = of_value,
                                    .y_strides = of_value,
                                    .dy_strides = of_value,
                                    .dq_strides = of_key,
                                    .dk_strides = of_key,
                                    .dv_strides = of_value,
                                    .batch = s.batch,
                                    .length = s.length,
                                    .heads = s.heads,
                                    .key_width = s.key_width,
                                    .value_width = s.value_width});
  return {{"y", numbers_of(y)},         {"inverse_norm", numbers_of(inverse_norm)},
          {"state", numbers_of(state)}, {"key_sum", numbers_of(key_sum)},
          {"dq", numbers_of(dq)},       {"dk", numbers_of(dk)},
          {"dv", numbers_of(dv)}};
}

Arrays inputs(const Shape& s) {
  Stream stream = test_stream(static_cast<std::uint64_t>(s.length * 1000 + s.key_width * 10 + s.value_width));
  const std::int64_t rows = s.batch * s.length * s.heads;
  return {{"q", normal_numbers(stream, rows * (s.key_width + s.between))},
          {"k", normal_numbers(stream, rows * (s.key_width + s.between))},
          {"v", normal_numbers(stream, rows * (s.value_width + s.between))},
          {"dy", normal_numbers(stream, rows * (s.value_width + s.between))}};
}

TEST_P(LinearAttention, AgreesWithTheReferenceOnAnyShape) {
  for (const Shape& s : {Shape{1, 1, 1, 1, 1}, Shape{2, 5, 2, 4, 4}, Shape{1, 33, 2, 24, 20}, Shape{1, 70, 1, 17, 33},
                         Shape{2, 32, 1, 12, 64}, Shape{1, 100, 3, 36, 8}, Shape{1, 66, 1, 70, 67}, Shape{2, 140, 1, 8, 12, 4}}) {
    SCOPED_TRACE(s.length);
    const Arrays in = inputs(s);
    const Arrays expected = run_case<double>(s, in, naive);
    expect_close(run_case<float>(s, in, kernel), expected, 1e-4);
    expect_close(run_case<double>(s, in, kernel), expected, 1e-12);
  }
}

TEST(LinearAttentionOnADevice, GivesTheSameBitsInAnyOrderOfThreads) {
  const Shape s{2, 70, 2, 20, 68};
  const Arrays in = inputs(s);
  expect_same_in_any_order([&] { return run_case<float>(s, in, kernel); });
}

// On a device a block takes all of a head's columns where there are so many heads.
TEST_P(LinearAttention, AgreesWithTheReferenceOnManyWideHeads) {
  const Shape s{1, 2, 260, 66, 66};
  const Arrays in = inputs(s);
  expect_close(run_case<float>(s, in, kernel), run_case<double>(s, in, naive), 1e-4);
}

TEST_P(LinearAttention, GradientsAreCentralDifferences) {
  const Shape s{2, 5, 2, 3, 4};
  expect_gradients([&](const Arrays& in) { return run_case<double>(s, in, kernel); }, inputs(s), "y", "dy");
}

TEST_P(LinearAttention, StepsThatCarryTheStateGiveTheWholeSequence) {
  const Shape whole{2, 75, 2, 12, 20};
  const Arrays in = inputs(whole);
  const Arrays expected = run_case<double>(whole, in, naive);
  const std::vector<float> q = as<float>(in.at("q")), k = as<float>(in.at("k")), v = as<float>(in.at("v"));
  for (const std::int64_t piece : {1, 40}) {
    std::vector<float> y(v.size(), 0.0f), state(2 * 2 * 12 * 20), key_sum(2 * 2 * 12);
    for (std::int64_t t = 0; t < whole.length; t += piece) {
      const std::int64_t key = t * whole.heads * (12 + gap), value = t * whole.heads * (20 + gap);
      kernel(LinearAttentionForward<float>{.q = q.data() + key,
                                           .k = k.data() + key,
                                           .v = v.data() + value,
                                           .initial_state = state.data(),
                                           .initial_key_sum = key_sum.data(),
                                           .y = y.data() + value,
                                           .final_state = state.data(),
                                           .final_key_sum = key_sum.data(),
                                           .q_strides = gapped(whole, 12),
                                           .k_strides = gapped(whole, 12),
                                           .v_strides = gapped(whole, 20),
                                           .y_strides = gapped(whole, 20),
                                           .batch = whole.batch,
                                           .length = std::min(piece, whole.length - t),
                                           .heads = whole.heads,
                                           .key_width = 12,
                                           .value_width = 20});
    }
    expect_close(numbers_of(y), expected.at("y"), 1e-4, "y");
    expect_close(numbers_of(state), expected.at("state"), 1e-4, "state");
    expect_close(numbers_of(key_sum), expected.at("key_sum"), 1e-4, "key_sum");
  }
}

TEST_P(LinearAttention, ALaterTokenMovesNoEarlierOutputEvenByNaN) {
  const Shape s{1, 80, 1, 16, 16};
  const Arrays whole = inputs(s);
  const Numbers before = run_case<float>(s, whole, kernel).at("y");
  constexpr std::int64_t row = 16 + gap;
  // In either half of a square of 16 × 16 tokens.
  for (const std::int64_t changed : {35, 41})
    for (const double value : {1000.0, not_a_number}) {
      Arrays in = whole;
      for (std::int64_t i = changed * row; i < (changed + 1) * row; ++i) in.at("k")[i] = in.at("v")[i] = value;
      const Numbers after = run_case<float>(s, in, kernel).at("y");
      for (std::int64_t i = 0; i < changed * row; ++i) ASSERT_EQ(before[i], after[i]) << i;
      for (std::int64_t t = changed; t < s.length; ++t) ASSERT_NE(before[t * row], after[t * row]) << t;
    }
}

TEST_P(LinearAttention, IsAnAverageOfTheValues) {
  const Shape s{1, 50, 2, 16, 8};
  Arrays in = inputs(s);
  std::fill(in.at("v").begin(), in.at("v").end(), 3.0);
  const Numbers y = run_case<float>(s, in, kernel).at("y");
  for (std::int64_t t = 0; t < s.length * s.heads; ++t) ASSERT_NEAR(y[t * (8 + gap)], 3.0, 1e-5);
}

TEST_P(LinearAttention, InBfloat16IsTheSameRounded) {
  for (const Shape& s : {Shape{2, 5, 2, 4, 4}, Shape{1, 33, 2, 24, 20}, Shape{1, 100, 3, 36, 8}}) {
    Arrays in = rounded(inputs(s));
    expect_rounded(run_case<bfloat16>(s, in, kernel), run_case<float>(s, in, kernel, true));
    in.at("v")[static_cast<std::size_t>(3 * s.heads * (s.value_width + gap))] = not_a_number;
    expect_rounded(run_case<bfloat16>(s, in, kernel), run_case<float>(s, in, kernel, true));
  }
}

INSTANTIATE_TEST_SUITE_P(Engines, LinearAttention, ::testing::ValuesIn(engines()), engine_label);

}  // namespace
}  // namespace starling::kernels
