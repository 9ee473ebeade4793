#include "support.hpp"

#include <starling/kernels/diagonal_scan_device.hpp>

namespace starling::kernels {
namespace {

class DiagonalScan : public AtEachEngine {};

struct Shape {
  std::int64_t batch;
  std::int64_t length;
  std::int64_t channels;
};

template <class T, class Engine>
Arrays run_case(const Shape& s, const Arrays& in, Engine engine, bool rounds_h = false) {
  using C = Compute<T>;
  const auto a = as<C>(in.at("a")), initial = as<C>(in.at("initial"));
  const auto b = as<T>(in.at("b")), dh = as<T>(in.at("dh"));
  std::vector<T> h(b.size()), db(b.size());
  std::vector<C> da(a.size()), final(initial.size()), dinitial(initial.size());
  engine(DiagonalScanForward<T>{a.data(), b.data(), initial.data(), h.data(), final.data(), s.batch, s.length, s.channels});
  const Numbers written = numbers_of(h);
  if (rounds_h) round_in_place(h);
  engine(DiagonalScanBackward<T>{a.data(), h.data(), initial.data(), dh.data(), da.data(), db.data(), dinitial.data(), s.batch, s.length,
                                 s.channels});
  return {{"h", written}, {"final", numbers_of(final)}, {"da", numbers_of(da)}, {"db", numbers_of(db)}, {"dinitial", numbers_of(dinitial)}};
}

Arrays inputs(const Shape& s) {
  Stream stream = test_stream(static_cast<std::uint64_t>(s.length * 100 + s.channels));
  const std::int64_t count = s.batch * s.length * s.channels;
  return {{"a", normal_numbers(stream, count, 0.5)},
          {"b", normal_numbers(stream, count)},
          {"initial", normal_numbers(stream, s.batch * s.channels)},
          {"dh", normal_numbers(stream, count)}};
}

TEST_P(DiagonalScan, AgreesWithTheReferenceOnAnyShape) {
  for (const Shape& s : {Shape{1, 1, 1}, Shape{2, 9, 16}, Shape{3, 50, 37}, Shape{1, 20, 131}, Shape{2, 200, 6}}) {
    const Arrays in = inputs(s);
    const Arrays expected = run_case<double>(s, in, naive);
    expect_close(run_case<float>(s, in, kernel), expected, 1e-5);
    expect_close(run_case<double>(s, in, kernel), expected, 1e-13);
  }
}

TEST(DiagonalScanOnADevice, GivesTheSameBitsInAnyOrderOfThreads) {
  const Shape s{2, 200, 6};
  const Arrays in = inputs(s);
  expect_same_in_any_order([&] { return run_case<float>(s, in, kernel); });
}

TEST_P(DiagonalScan, GradientsAreCentralDifferences) {
  const Shape s{2, 4, 3};
  expect_gradients([&](const Arrays& in) { return run_case<double>(s, in, kernel); }, inputs(s), "h", "dh");
}

TEST_P(DiagonalScan, WithoutAnInitialStateStartsAtZero) {
  const std::vector<float> a{2, 2, 2}, b{1, 1, 1};
  std::vector<float> h(3), da(3), db(3);
  kernel(DiagonalScanForward<float>{a.data(), b.data(), nullptr, h.data(), nullptr, 1, 3, 1});
  EXPECT_EQ(h, (std::vector<float>{1, 3, 7}));
  kernel(DiagonalScanBackward<float>{a.data(), h.data(), nullptr, b.data(), da.data(), db.data(), nullptr, 1, 3, 1});
  EXPECT_EQ(db, (std::vector<float>{7, 3, 1}));
  EXPECT_EQ(da, (std::vector<float>{0, 3, 3}));
}

TEST_P(DiagonalScan, StepsThatCarryTheStateGiveTheWholeSequence) {
  const Shape s{2, 9, 37};
  const Arrays in = rounded(inputs(s));
  const Arrays whole = run_case<bfloat16>(s, in, kernel);
  const auto a = as<float>(in.at("a"));
  const auto b = as<bfloat16>(in.at("b"));
  auto state = as<float>(in.at("initial"));
  std::vector<bfloat16> h(b.size());
  for (std::int64_t of_batch = 0; of_batch < s.batch; ++of_batch)
    for (std::int64_t t = 0; t < s.length; ++t) {
      const std::int64_t row = (of_batch * s.length + t) * s.channels;
      float* carried = state.data() + of_batch * s.channels;
      kernel(DiagonalScanForward<bfloat16>{a.data() + row, b.data() + row, carried, h.data() + row, carried, 1, 1, s.channels});
    }
  EXPECT_EQ(numbers_of(h), whole.at("h"));
  EXPECT_EQ(numbers_of(state), whole.at("final"));
}

TEST_P(DiagonalScan, InBfloat16IsTheSameRounded) {
  for (const Shape& s : {Shape{1, 1, 1}, Shape{3, 50, 37}, Shape{1, 20, 131}}) {
    Arrays in = inputs(s);
    for (const char* name : {"b", "dh"}) in[name] = rounded({{name, in.at(name)}}).at(name);
    expect_rounded(run_case<bfloat16>(s, in, kernel), run_case<float>(s, in, kernel, true));
    in.at("b")[0] = not_a_number;
    in.at("dh").back() = infinity;
    expect_rounded(run_case<bfloat16>(s, in, kernel), run_case<float>(s, in, kernel, true));
  }
}

TEST_P(DiagonalScan, AHundredThousandSmallStepsInBfloat16AddUp) {
  // A state kept in bfloat16 would stop at 256.
  constexpr std::int64_t length = 100000;
  const std::vector<float> a(length, 1.0f);
  const std::vector<bfloat16> b(length, bfloat16(1.0f));
  std::vector<bfloat16> h(length);
  std::vector<float> final(1);
  kernel(DiagonalScanForward<bfloat16>{a.data(), b.data(), nullptr, h.data(), final.data(), 1, length, 1});
  EXPECT_EQ(final[0], 100000.0f);
}

INSTANTIATE_TEST_SUITE_P(Engines, DiagonalScan, ::testing::ValuesIn(engines()), engine_label);

}  // namespace
}  // namespace starling::kernels
