#include <algorithm>

#include "support.hpp"

#include <starling/kernels/matrix_recurrence_device.hpp>

namespace starling::kernels {
namespace {

class MatrixRecurrence : public AtEachEngine {};

/// Rows with a gap between heads, as in a slice of a joint projection.
constexpr std::int64_t gap = 3;

struct Shape {
  std::int64_t batch;
  std::int64_t length;
  std::int64_t heads;
  std::int64_t key_width;
  std::int64_t value_width;
  MatrixDecay decay = MatrixDecay::none;
  std::int64_t between = gap;

  std::int64_t tokens() const { return batch * length * heads; }
  std::int64_t decay_width() const { return decay == MatrixDecay::per_channel ? key_width : 1; }
  std::int64_t states() const { return batch * heads * key_width * value_width; }
};

HeadStrides gapped(const Shape& s, std::int64_t width) { return contiguous_heads(s.length, s.heads, width + s.between); }

template <class T, class Engine>
Arrays run_case(const Shape& s, const Arrays& in, Engine engine) {
  using C = Compute<T>;
  const auto q = as<T>(in.at("q")), k = as<T>(in.at("k")), v = as<T>(in.at("v")), dy = as<T>(in.at("dy"));
  const auto initial = as<C>(in.at("initial")), log_decay = as<C>(in.at("log_decay"));
  std::vector<T> y = zeros_like(dy), dq = zeros_like(q), dk = zeros_like(k), dv = zeros_like(v);
  std::vector<C> final(initial.size()), dlog_decay = zeros_like(log_decay);
  const HeadStrides of_key = gapped(s, s.key_width), of_value = gapped(s, s.value_width), of_decay = gapped(s, s.decay_width());
  const bool decays = s.decay != MatrixDecay::none;
  engine(MatrixRecurrenceForward<T>{.q = q.data(),
                                    .k = k.data(),
                                    .v = v.data(),
                                    .log_decay = decays ? log_decay.data() : nullptr,
                                    .initial = initial.empty() ? nullptr : initial.data(),
                                    .y = y.data(),
                                    .final = initial.empty() ? nullptr : final.data(),
                                    .q_strides = of_key,
                                    .k_strides = of_key,
                                    .v_strides = of_value,
                                    .log_decay_strides = of_decay,
                                    .y_strides = of_value,
                                    .batch = s.batch,
                                    .length = s.length,
                                    .heads = s.heads,
                                    .key_width = s.key_width,
                                    .value_width = s.value_width,
                                    .decay = s.decay});
  engine(MatrixRecurrenceBackward<T>{.q = q.data(),
                                     .k = k.data(),
                                     .v = v.data(),
                                     .log_decay = decays ? log_decay.data() : nullptr,
                                     .initial = initial.empty() ? nullptr : initial.data(),
                                     .dy = dy.data(),
                                     .dq = dq.data(),
                                     .dk = dk.data(),
                                     .dv = dv.data(),
                                     .dlog_decay = decays ? dlog_decay.data() : nullptr,
                                     .q_strides = of_key,
                                     .k_strides = of_key,
                                     .v_strides = of_value,
                                     .log_decay_strides = of_decay,
                                     .dy_strides = of_value,
                                     .dq_strides = of_key,
                                     .dk_strides = of_key,
                                     .dv_strides = of_value,
                                     .dlog_decay_strides = of_decay,
                                     .batch = s.batch,
                                     .length = s.length,
                                     .heads = s.heads,
                                     .key_width = s.key_width,
                                     .value_width = s.value_width,
                                     .decay = s.decay});
  return {{"y", numbers_of(y)},   {"final", numbers_of(final)}, {"dq", numbers_of(dq)},
          {"dk", numbers_of(dk)}, {"dv", numbers_of(dv)},       {"dlog_decay", numbers_of(dlog_decay)}};
}

/// Decays of about e^−strength per token.
Arrays inputs(const Shape& s, bool with_initial = true, double strength = 0.3) {
  Stream stream = test_stream(static_cast<std::uint64_t>(s.length * 1000 + s.key_width * 10 + s.value_width));
  Arrays in{{"q", normal_numbers(stream, s.tokens() * (s.key_width + s.between))},
            {"k", normal_numbers(stream, s.tokens() * (s.key_width + s.between))},
            {"v", normal_numbers(stream, s.tokens() * (s.value_width + s.between))},
            {"dy", normal_numbers(stream, s.tokens() * (s.value_width + s.between))},
            {"log_decay", normal_numbers(stream, s.tokens() * (s.decay_width() + s.between), strength)},
            {"initial", normal_numbers(stream, with_initial ? s.states() : 0)}};
  for (double& g : in.at("log_decay")) g = -std::abs(g);
  return in;
}

constexpr MatrixDecay every_decay[] = {MatrixDecay::none, MatrixDecay::per_head, MatrixDecay::per_channel};

TEST_P(MatrixRecurrence, AgreesWithTheReferenceOnAnyShape) {
  for (const auto decay : every_decay)
    for (Shape s : {Shape{1, 1, 1, 1, 1}, Shape{2, 5, 2, 4, 4}, Shape{1, 33, 2, 24, 20}, Shape{1, 70, 1, 17, 33}, Shape{2, 32, 1, 13, 64},
                    Shape{1, 40, 3, 36, 7}, Shape{1, 66, 1, 70, 67}, Shape{2, 140, 1, 8, 12}}) {
      s.decay = decay;
      if (s.value_width % 4 == 0) s.between = 4;  // bundles may be loaded
      SCOPED_TRACE(s.length * 1000 + static_cast<int>(decay));
      for (const bool with_initial : {false, true}) {
        const Arrays in = inputs(s, with_initial);
        const Arrays expected = run_case<double>(s, in, naive);
        expect_close(run_case<float>(s, in, kernel), expected, 1e-4);
        expect_close(run_case<double>(s, in, kernel), expected, 1e-12);
      }
    }
}

// On a device a block takes all of a head's columns where there are so many heads.
TEST_P(MatrixRecurrence, AgreesWithTheReferenceOnManyWideHeads) {
  const Shape s{1, 2, 260, 66, 66, MatrixDecay::per_channel};
  const Arrays in = inputs(s);
  expect_close(run_case<float>(s, in, kernel), run_case<double>(s, in, naive), 1e-4);
}

TEST(MatrixRecurrenceOnADevice, GivesTheSameBitsInAnyOrderOfThreads) {
  for (const auto decay : every_decay) {
    const Shape s{2, 70, 2, 20, 68, decay};
    const Arrays in = inputs(s);
    expect_same_in_any_order([&] { return run_case<float>(s, in, kernel); });
  }
}

TEST_P(MatrixRecurrence, GradientsAreCentralDifferences) {
  for (const auto decay : every_decay) {
    const Shape s{2, 5, 2, 3, 4, decay};
    expect_gradients([&](const Arrays& in) { return run_case<double>(s, in, kernel); }, inputs(s), "y", "dy");
  }
}

TEST_P(MatrixRecurrence, StepsThatCarryTheStateGiveTheWholeSequence) {
  for (const auto decay : every_decay) {
    const Shape whole{2, 75, 2, 12, 20, decay};
    const Arrays in = inputs(whole);
    const Arrays expected = run_case<double>(whole, in, naive);
    const std::vector<float> q = as<float>(in.at("q")), k = as<float>(in.at("k")), v = as<float>(in.at("v")),
                             log_decay = as<float>(in.at("log_decay"));
    for (const std::int64_t piece : {1, 40}) {
      std::vector<float> y(v.size(), 0.0f), state = as<float>(in.at("initial"));
      for (std::int64_t t = 0; t < whole.length; t += piece) {
        const auto token = [&](std::int64_t width) { return t * whole.heads * (width + gap); };
        kernel(MatrixRecurrenceForward<float>{
            .q = q.data() + token(12),
            .k = k.data() + token(12),
            .v = v.data() + token(20),
            .log_decay = decay == MatrixDecay::none ? nullptr : log_decay.data() + token(whole.decay_width()),
            .initial = state.data(),
            .y = y.data() + token(20),
            .final = state.data(),
            .q_strides = gapped(whole, 12),
            .k_strides = gapped(whole, 12),
            .v_strides = gapped(whole, 20),
            .log_decay_strides = gapped(whole, whole.decay_width()),
            .y_strides = gapped(whole, 20),
            .batch = whole.batch,
            .length = std::min(piece, whole.length - t),
            .heads = whole.heads,
            .key_width = 12,
            .value_width = 20,
            .decay = decay});
      }
      expect_close(numbers_of(y), expected.at("y"), 1e-4, "y");
      expect_close(numbers_of(state), expected.at("final"), 1e-4, "state");
    }
  }
}

TEST_P(MatrixRecurrence, ALaterTokenMovesNoEarlierOutputEvenByNaN) {
  for (const auto decay : every_decay) {
    const Shape s{1, 80, 1, 16, 16, decay};
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
}

TEST_P(MatrixRecurrence, DecaysOfAnyStrengthStayFinite) {
  for (const auto decay : {MatrixDecay::per_head, MatrixDecay::per_channel}) {
    const Shape s{1, 100, 1, 16, 16, decay};
    for (const double strength : {5.0, 100.0}) {
      const Arrays in = inputs(s, true, strength);
      const Arrays expected = run_case<double>(s, in, naive);
      expect_close(run_case<float>(s, in, kernel), expected, 1e-4);
    }
  }
}

TEST_P(MatrixRecurrence, ADecayToNothingForgetsTheState) {
  for (const auto decay : {MatrixDecay::per_head, MatrixDecay::per_channel}) {
    const Shape s{1, 20, 1, 8, 8, decay};
    Arrays in = inputs(s);
    const std::int64_t row = s.decay_width() + gap;
    std::fill_n(in.at("log_decay").begin() + 9 * row, row, -infinity);
    const Arrays with = run_case<float>(s, in, kernel);
    for (std::int64_t i = 0; i < 9 * (8 + gap); ++i) in.at("k")[i] = 50;
    const Numbers without = run_case<float>(s, in, kernel).at("y");
    for (std::int64_t i = 9 * (8 + gap); i < 20 * (8 + gap); ++i) ASSERT_EQ(with.at("y")[i], without[i]) << i;
    for (const auto& [name, numbers] : with)
      for (double x : numbers) ASSERT_TRUE(std::isfinite(x)) << name;
  }
}

TEST_P(MatrixRecurrence, ANaNInAQueryShowsInItsTokenAlone) {
  const Shape s{1, 40, 1, 16, 16};
  for (const std::int64_t token : {20, 27}) {
    Arrays in = inputs(s);
    in.at("q")[token * (16 + gap) + 3] = not_a_number;
    const Arrays out = run_case<float>(s, in, kernel);
    for (std::int64_t t = 0; t < 40; ++t) {
      EXPECT_EQ(std::isnan(out.at("y")[t * (16 + gap)]), t == token) << t;
      EXPECT_EQ(std::isnan(out.at("dk")[t * (16 + gap) + 3]), t <= token) << t;
    }
  }
}

TEST_P(MatrixRecurrence, InBfloat16IsTheSameRounded) {
  for (const auto decay : every_decay)
    for (Shape s : {Shape{2, 5, 2, 4, 4}, Shape{1, 33, 2, 24, 20}, Shape{1, 70, 1, 17, 33}, Shape{1, 300, 1, 16, 16}}) {
      s.decay = decay;
      Arrays in = inputs(s);
      for (const char* name : {"q", "k", "v", "dy"}) in[name] = rounded({{name, in.at(name)}}).at(name);
      const Arrays found = run_case<bfloat16>(s, in, kernel), expected = run_case<float>(s, in, kernel);
      expect_rounded(found, expected);
      // What nothing rounds on the way: a sum of products of rounded gradients would be off by far more.
      expect_close(found.at("dlog_decay"), expected.at("dlog_decay"), 1e-5, "dlog_decay");
      expect_close(found.at("final"), expected.at("final"), 1e-6, "final");
      in.at("v")[static_cast<std::size_t>(3 * s.heads * (s.value_width + gap))] = not_a_number;
      expect_rounded(run_case<bfloat16>(s, in, kernel), run_case<float>(s, in, kernel));
    }
}

INSTANTIATE_TEST_SUITE_P(Engines, MatrixRecurrence, ::testing::ValuesIn(engines()), engine_label);

}  // namespace
}  // namespace starling::kernels
