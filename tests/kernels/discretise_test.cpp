#include "support.hpp"

#include <starling/kernels/discretise_device.hpp>

#include <complex>

namespace starling::kernels {
namespace {

class Discretisation : public AtEachEngine {};

struct Shape {
  std::int64_t pairs;
  std::int64_t width;
  bool liquid;
};

template <class T, class Engine>
Arrays run_case(const Shape& s, const Arrays& in, Engine engine) {
  const auto get = [&](const char* name) { return as<T>(in.at(name)); };
  const auto a_log = get("a_log"), a_imaginary = get("a_imaginary"), log_step = get("log_step"), b = get("b"), c = get("c"),
             liquid = get("liquid"), ddecay = get("to_decay"), dweight = get("to_weight"), dleak = get("to_leak");
  const auto like = [](const std::vector<T>& x) { return std::vector<T>(x.size(), T(0)); };
  std::vector<T> decay = like(b), weight = like(b), leak = like(b);
  engine(Discretise<T>{.a_log = a_log.data(),
                       .a_imaginary = a_imaginary.data(),
                       .log_step = log_step.data(),
                       .b = b.data(),
                       .c = c.data(),
                       .liquid = s.liquid ? liquid.data() : nullptr,
                       .decay = decay.data(),
                       .weight = weight.data(),
                       .leak = s.liquid ? leak.data() : nullptr,
                       .pairs = s.pairs,
                       .width = s.width});
  std::vector<T> da_log = like(a_log), da_imaginary = like(a_log), dlog_step = like(log_step), db = like(b), dc = like(b),
                 dliquid = like(b);
  engine(DiscretiseBackward<T>{.a_log = a_log.data(),
                               .a_imaginary = a_imaginary.data(),
                               .log_step = log_step.data(),
                               .b = b.data(),
                               .c = c.data(),
                               .liquid = s.liquid ? liquid.data() : nullptr,
                               .ddecay = ddecay.data(),
                               .dweight = dweight.data(),
                               .dleak = s.liquid ? dleak.data() : nullptr,
                               .da_log = da_log.data(),
                               .da_imaginary = da_imaginary.data(),
                               .dlog_step = dlog_step.data(),
                               .db = db.data(),
                               .dc = dc.data(),
                               .dliquid = s.liquid ? dliquid.data() : nullptr,
                               .pairs = s.pairs,
                               .width = s.width});
  return {{"decay", numbers_of(decay)},    {"weight", numbers_of(weight)},
          {"leak", numbers_of(leak)},      {"da_log", numbers_of(da_log)},
          {"db", numbers_of(db)},          {"da_imaginary", numbers_of(da_imaginary)},
          {"dc", numbers_of(dc)},          {"dlog_step", numbers_of(dlog_step)},
          {"dliquid", numbers_of(dliquid)}};
}

Arrays inputs(const Shape& s) {
  Stream stream = test_stream(static_cast<std::uint64_t>(s.width * 100 + s.pairs));
  const std::int64_t size = s.pairs * s.width;
  Arrays in{{"a_log", normal_numbers(stream, size)},        {"a_imaginary", normal_numbers(stream, size, 30)},
            {"log_step", normal_numbers(stream, s.width)},  {"b", normal_numbers(stream, 2 * size)},
            {"c", normal_numbers(stream, 2 * size)},        {"liquid", normal_numbers(stream, 2 * size)},
            {"to_decay", normal_numbers(stream, 2 * size)}, {"to_weight", normal_numbers(stream, 2 * size)},
            {"to_leak", normal_numbers(stream, 2 * size)}};
  for (double& x : in.at("log_step")) x = static_cast<float>(x - 4);
  // The smallest |Δ A| are those of the power series, the first is 0 but for the real part.
  for (std::int64_t i = 0; i < size; i += 3) in.at("a_imaginary")[i] = static_cast<float>(in.at("a_imaginary")[i] / 100);
  in.at("a_imaginary")[0] = 0;
  return in;
}

TEST_P(Discretisation, AgreesWithTheReferenceOnAnyShape) {
  for (const Shape& s : {Shape{1, 1, false}, Shape{3, 7, true}, Shape{32, 16, false}, Shape{32, 17, true}, Shape{5, 33, true}}) {
    const Arrays in = inputs(s);
    const Arrays expected = run_case<double>(s, in, naive);
    expect_close(run_case<float>(s, in, kernel), expected, 1e-5);
    expect_close(run_case<double>(s, in, kernel), expected, 1e-7);  // the reference differentiates numerically
  }
}

TEST_P(Discretisation, IsExactToRoundingWhateverTheSizeOfTheStep) {
  Shape s{1, 40, false};
  Arrays in = inputs(s);
  for (std::int64_t c = 0; c < s.width; ++c) in.at("log_step")[c] = -30 + static_cast<double>(c);
  const Arrays expected = run_case<double>(s, in, naive);
  const Arrays found = run_case<double>(s, in, kernel);
  for (const auto* name : {"decay", "weight"})
    for (std::size_t i = 0; i < expected.at(name).size(); ++i)
      EXPECT_NEAR(found.at(name)[i], expected.at(name)[i], 1e-12 * (std::abs(expected.at(name)[i]) + 1e-12)) << name << " " << i;
}

TEST_P(Discretisation, DecayAndLeakTogetherStayInsideTheUnitCircle) {
  Shape s{4, 20, true};
  Arrays in = inputs(s);
  for (double& x : in.at("liquid")) x *= 50;
  const Arrays out = run_case<float>(s, in, kernel);
  const std::size_t size = 80;
  for (std::size_t i = 0; i < size; ++i) {
    const double decay = std::abs(std::complex(out.at("decay")[i], out.at("decay")[size + i]));
    const double leak = std::abs(std::complex(out.at("leak")[i], out.at("leak")[size + i]));
    EXPECT_GT(leak, 0);
    EXPECT_LT(decay + leak, 1 + 1e-6);
  }
}

TEST(DiscretisationOnADevice, GivesTheSameBitsInAnyOrderOfThreads) {
  const Shape s{32, 40, true};
  const Arrays in = inputs(s);
  expect_same_in_any_order([&] { return run_case<float>(s, in, kernel); });
}

INSTANTIATE_TEST_SUITE_P(Engines, Discretisation, ::testing::ValuesIn(engines()), engine_label);

}  // namespace
}  // namespace starling::kernels
