#include "support.hpp"

#include <starling/kernels/complex_scan_device.hpp>

#include <complex>
#include <stdexcept>

namespace starling::kernels {
namespace {

class ComplexScan : public AtEachEngine {};

struct Shape {
  std::int64_t batch;
  std::int64_t length;
  std::int64_t width;
  std::int64_t pairs;
  bool liquid;
  bool initial = true;
  std::int64_t stride() const { return width + 2; }
};

template <class T, class Engine>
Arrays run_case(const Shape& s, const Arrays& in, Engine engine) {
  using C = Compute<T>;
  const auto get = [&](const char* name) { return as<C>(in.at(name)); };
  const auto decay = get("decay"), weight = get("weight"), leak = get("leak"), skip = get("skip"), initial = get("initial");
  const auto u = as<T>(in.at("u")), dy = as<T>(in.at("dy"));
  std::vector<T> y = zeros_like(u);
  std::vector<C> final = zeros_like(initial), checkpoints(complex_scan_checkpoint_elements(s.batch, s.length, s.width, s.pairs));
  engine(ComplexScanForward<T>{.u = u.data(),
                               .decay = decay.data(),
                               .weight = weight.data(),
                               .leak = s.liquid ? leak.data() : nullptr,
                               .skip = skip.data(),
                               .initial = s.initial ? initial.data() : nullptr,
                               .y = y.data(),
                               .final = final.data(),
                               .checkpoints = checkpoints.data(),
                               .batch = s.batch,
                               .length = s.length,
                               .width = s.width,
                               .pairs = s.pairs,
                               .u_stride = s.stride(),
                               .y_stride = s.stride()});
  std::vector<T> du = zeros_like(u);
  std::vector<C> ddecay = zeros_like(decay), dweight = zeros_like(weight), dleak = zeros_like(leak), dskip = zeros_like(skip);
  engine(ComplexScanBackward<T>{.u = u.data(),
                                .decay = decay.data(),
                                .weight = weight.data(),
                                .leak = s.liquid ? leak.data() : nullptr,
                                .skip = skip.data(),
                                .checkpoints = checkpoints.data(),
                                .dy = dy.data(),
                                .du = du.data(),
                                .ddecay = ddecay.data(),
                                .dweight = dweight.data(),
                                .dleak = s.liquid ? dleak.data() : nullptr,
                                .dskip = dskip.data(),
                                .batch = s.batch,
                                .length = s.length,
                                .width = s.width,
                                .pairs = s.pairs,
                                .u_stride = s.stride(),
                                .dy_stride = s.stride(),
                                .du_stride = s.stride()});
  return {{"y", numbers_of(y)},         {"final", numbers_of(final)},   {"checkpoints", numbers_of(checkpoints)},
          {"du", numbers_of(du)},       {"ddecay", numbers_of(ddecay)}, {"dweight", numbers_of(dweight)},
          {"dleak", numbers_of(dleak)}, {"dskip", numbers_of(dskip)}};
}

Arrays inputs(const Shape& s) {
  Stream stream = test_stream(static_cast<std::uint64_t>(s.length * 1000 + s.width * 10 + s.pairs));
  const std::int64_t tokens = s.batch * s.length, size = s.pairs * s.width;
  Arrays in{{"u", normal_numbers(stream, tokens * s.stride())}, {"decay", normal_numbers(stream, 2 * size)},
            {"weight", normal_numbers(stream, 2 * size)},       {"leak", normal_numbers(stream, 2 * size)},
            {"skip", normal_numbers(stream, s.width)},          {"initial", normal_numbers(stream, s.batch * 2 * size)},
            {"dy", normal_numbers(stream, tokens * s.stride())}};
  // |decay| in (0.3, 0.95) and |leak| < 1 − |decay|, as discretise makes them.
  for (std::int64_t i = 0; i < size; ++i) {
    std::complex<double> decay(in.at("decay")[i], in.at("decay")[size + i]), leak(in.at("leak")[i], in.at("leak")[size + i]);
    decay *= (0.3 + 0.65 * stream.uniform()) / std::abs(decay);
    leak *= 0.9 * (1 - std::abs(decay)) / std::abs(leak);
    in.at("decay")[i] = static_cast<float>(decay.real());
    in.at("decay")[size + i] = static_cast<float>(decay.imag());
    in.at("leak")[i] = static_cast<float>(leak.real());
    in.at("leak")[size + i] = static_cast<float>(leak.imag());
  }
  return in;
}

TEST_P(ComplexScan, AgreesWithTheReferenceOnAnyShape) {
  for (const bool liquid : {false, true}) {
    for (const Shape& s :
         {Shape{1, 1, 1, 1, liquid}, Shape{2, 5, 7, 3, liquid, false}, Shape{2, 63, 16, 32, liquid}, Shape{1, 64, 5, 4, liquid},
          Shape{2, 65, 20, 5, liquid}, Shape{1, 200, 33, 7, liquid, false}, Shape{2, 300, 35, 32, liquid}, Shape{90, 130, 3, 2, liquid}}) {
      SCOPED_TRACE(s.length);
      const Arrays in = inputs(s);
      const Arrays expected = run_case<double>(s, in, naive);
      expect_close(run_case<float>(s, in, kernel), expected, 3e-5);
      expect_close(run_case<double>(s, in, kernel), expected, 1e-12);
    }
  }
}

TEST_P(ComplexScan, GradientsAreCentralDifferences) {
  for (const bool liquid : {false, true}) {
    const Shape s{2, 6, 3, 5, liquid};
    auto in = inputs(s);
    if (!liquid) in.erase("leak"), in["leak"] = Numbers(static_cast<std::size_t>(2 * s.pairs * s.width), 0.0);
    expect_gradients([&](const Arrays& arrays) { return run_case<double>(s, arrays, kernel); }, in, "y", "dy");
  }
}

TEST_P(ComplexScan, StepsWithACarriedStateGiveTheWholeSequence) {
  for (const bool liquid : {false, true}) {
    const Shape s{1, 70, 18, 32, liquid};
    const Arrays in = inputs(s);
    const auto get = [&](const char* name) { return as<float>(in.at(name)); };
    const auto u = get("u"), decay = get("decay"), weight = get("weight"), leak = get("leak"), skip = get("skip");
    std::vector<float> state = get("initial"), y(u.size(), 0.0f);
    for (std::int64_t t = 0; t < s.length; ++t)
      kernel(ComplexScanForward<float>{.u = u.data() + t * s.stride(),
                                       .decay = decay.data(),
                                       .weight = weight.data(),
                                       .leak = liquid ? leak.data() : nullptr,
                                       .skip = skip.data(),
                                       .initial = state.data(),
                                       .y = y.data() + t * s.stride(),
                                       .final = state.data(),
                                       .batch = 1,
                                       .length = 1,
                                       .width = s.width,
                                       .pairs = s.pairs,
                                       .u_stride = s.stride(),
                                       .y_stride = s.stride()});
    const Arrays whole = run_case<float>(s, in, kernel);
    expect_close(numbers_of(y), whole.at("y"), 1e-6, "y");
    expect_close(numbers_of(state), whole.at("final"), 1e-6, "final");
  }
}

TEST_P(ComplexScan, ANaNReachesItsChannelFromItsTokenOn) {
  for (const bool liquid : {false, true}) {
    const Shape s{1, 200, 20, 4, liquid};
    Arrays in = inputs(s);
    in.at("u")[17 * s.stride() + 6] = not_a_number;
    const Numbers y = run_case<float>(s, in, kernel).at("y");
    for (std::int64_t i = 0; i < s.length * s.stride(); ++i) EXPECT_EQ(std::isnan(y[i]), i % s.stride() == 6 && i / s.stride() >= 17) << i;
  }
}

TEST_P(ComplexScan, InBfloat16IsTheSameRounded) {
  for (const bool liquid : {false, true})
    for (const Shape& s : {Shape{2, 5, 7, 3, liquid}, Shape{1, 65, 20, 6, liquid, false}, Shape{2, 129, 33, 4, liquid}}) {
      Arrays in = inputs(s);
      for (const char* name : {"u", "dy"}) in.at(name) = rounded({{"x", in.at(name)}}).at("x");
      expect_rounded(run_case<bfloat16>(s, in, kernel), run_case<float>(s, in, kernel));
      in.at("u")[static_cast<std::size_t>(3 * s.stride())] = not_a_number;
      expect_rounded(run_case<bfloat16>(s, in, kernel), run_case<float>(s, in, kernel));
    }
}

TEST(ComplexScanOnADevice, GivesTheSameBitsInAnyOrderOfThreads) {
  for (const bool liquid : {false, true}) {
    const Shape s{2, 200, 40, 32, liquid};
    const Arrays in = inputs(s);
    expect_same_in_any_order([&] { return run_case<float>(s, in, kernel); });
  }
}

TEST(ComplexScanOnADevice, RefusesMorePairsThanItHasRoomFor) {
  LockstepLauncher launcher(Turns::ascending);
  EXPECT_THROW(launch_all(ComplexScanForward<float>{.pairs = 33}, launcher), std::invalid_argument);
  EXPECT_THROW(launch_all(ComplexScanBackward<float>{.pairs = 33}, launcher), std::invalid_argument);
}

INSTANTIATE_TEST_SUITE_P(Engines, ComplexScan, ::testing::ValuesIn(engines()), engine_label);

}  // namespace
}  // namespace starling::kernels
