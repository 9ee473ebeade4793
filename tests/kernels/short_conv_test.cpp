#include "support.hpp"

#include <starling/kernels/short_conv_device.hpp>

namespace starling::kernels {
namespace {

class ShortConv : public AtEachEngine {};

struct Shape {
  std::int64_t batch;
  std::int64_t length;
  std::int64_t channels;
  std::int64_t taps;
  ShortConvActivation activation = ShortConvActivation::none;
  bool initial = false;
  std::int64_t stride() const { return channels + (channels % 2 ? 3 : 4); }
};

template <class T, class Engine>
Arrays run_case(const Shape& s, const Arrays& in, Engine engine) {
  using C = Compute<T>;
  const auto x = as<T>(in.at("x")), dy = as<T>(in.at("dy"));
  const auto weight = as<C>(in.at("weight")), initial = as<C>(in.at("initial"));
  std::vector<T> y(dy.size()), dx(x.size(), T(0));
  std::vector<C> final(initial.size()), dweight(weight.size(), C(0));
  const C* state = s.initial ? initial.data() : nullptr;
  engine(ShortConvForward<T>{x.data(), weight.data(), state, y.data(), final.data(), s.batch, s.length, s.channels, s.taps, s.stride(),
                             s.channels, s.activation});
  engine(ShortConvBackward<T>{x.data(), weight.data(), state, dy.data(), dx.data(), dweight.data(), s.batch, s.length, s.channels, s.taps,
                              s.stride(), s.channels, s.stride(), s.activation});
  return {{"y", numbers_of(y)}, {"final", numbers_of(final)}, {"dx", numbers_of(dx)}, {"dweight", numbers_of(dweight)}};
}

Arrays inputs(const Shape& s) {
  Stream stream = test_stream(static_cast<std::uint64_t>(s.length * 100 + s.channels * 10 + s.taps));
  return {{"x", normal_numbers(stream, s.batch * s.length * s.stride())},
          {"weight", normal_numbers(stream, s.channels * s.taps)},
          {"initial", normal_numbers(stream, s.batch * (s.taps - 1) * s.channels)},
          {"dy", normal_numbers(stream, s.batch * s.length * s.channels)}};
}

constexpr ShortConvActivation activations[] = {ShortConvActivation::none, ShortConvActivation::silu};

TEST_P(ShortConv, AgreesWithTheReferenceForEveryNumberOfTaps) {
  for (ShortConvActivation activation : activations)
    for (std::int64_t taps = 1; taps <= max_short_conv_taps; ++taps)
      for (std::int64_t length : {1, 2, 9})
        for (std::int64_t channels : {1, 16, 37}) {
          const Shape s{2, length, channels, taps, activation, taps % 2 == 0};
          const Arrays in = inputs(s);
          const Arrays expected = run_case<double>(s, in, naive);
          expect_close(run_case<float>(s, in, kernel), expected, 5e-6);
          expect_close(run_case<double>(s, in, kernel), expected, 1e-13);
        }
}

TEST_P(ShortConv, AgreesWithTheReferenceOnLongSequences) {
  for (std::int64_t taps : {2, 3, 4})
    for (std::int64_t channels : {5, 12}) {
      const Shape s{2, 133, channels, taps, ShortConvActivation::silu, true};
      const Arrays in = inputs(s);
      expect_close(run_case<float>(s, in, kernel), run_case<double>(s, in, naive), 5e-6);
    }
}

TEST(ShortConvOnADevice, GivesTheSameBitsInAnyOrderOfThreads) {
  const Shape s{2, 133, 12, 4, ShortConvActivation::silu, true};
  const Arrays in = inputs(s);
  expect_same_in_any_order([&] { return run_case<float>(s, in, kernel); });
}

TEST_P(ShortConv, GradientsAreCentralDifferences) {
  for (ShortConvActivation activation : activations) {
    const Shape s{2, 5, 3, 4, activation, true};
    expect_gradients([&](const Arrays& in) { return run_case<double>(s, in, kernel); }, inputs(s), "y", "dy");
  }
}

TEST_P(ShortConv, StepsWithACarriedStateGiveTheWholeSequence) {
  const Shape s{1, 11, 19, 4, ShortConvActivation::silu};
  const Arrays in = inputs(s);
  const auto x = as<float>(in.at("x")), weight = as<float>(in.at("weight"));
  std::vector<float> state(3 * 19, 0.0f), y(11 * 19);
  for (std::int64_t t = 0; t < 11; ++t)
    kernel(ShortConvForward<float>{x.data() + t * s.stride(), weight.data(), state.data(), y.data() + t * 19, state.data(), 1, 1, 19, 4,
                                   s.stride(), 19, s.activation});
  const Arrays whole = run_case<float>(s, in, kernel);
  EXPECT_EQ(numbers_of(y), whole.at("y"));
  EXPECT_EQ(numbers_of(state), whole.at("final"));
}

TEST_P(ShortConv, ATokenReachesOnlyTheNextTapsOutputs) {
  const Shape s{1, 12, 5, 3};
  Arrays in = inputs(s);
  in.at("x")[6 * s.stride() + 2] = not_a_number;
  const Numbers y = run_case<float>(s, in, kernel).at("y");
  for (std::size_t i = 0; i < y.size(); ++i) EXPECT_EQ(std::isnan(y[i]), i % 5 == 2 && i / 5 >= 6 && i / 5 <= 8) << i;
}

TEST_P(ShortConv, InBfloat16IsTheSameRounded) {
  for (ShortConvActivation activation : activations)
    for (std::int64_t channels : {1, 16, 37}) {
      const Shape s{2, 9, channels, 4, activation, true};
      Arrays in = rounded(inputs(s));
      expect_rounded(run_case<bfloat16>(s, in, kernel), run_case<float>(s, in, kernel));
      in.at("x")[static_cast<std::size_t>(2 * s.stride())] = not_a_number;
      in.at("x")[static_cast<std::size_t>(12 * s.stride())] = infinity;
      expect_rounded(run_case<bfloat16>(s, in, kernel), run_case<float>(s, in, kernel));
    }
}

INSTANTIATE_TEST_SUITE_P(Engines, ShortConv, ::testing::ValuesIn(engines()), engine_label);

}  // namespace
}  // namespace starling::kernels
