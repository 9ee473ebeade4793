#include "support.hpp"

namespace starling::kernels {
namespace {

class DiagonalScan : public AtEachLevel {};

struct Shape {
  std::int64_t batch;
  std::int64_t length;
  std::int64_t channels;
};

template <class T, class Engine>
Arrays run_case(const Shape& s, const Arrays& in, Engine engine) {
  const auto a = as<T>(in.at("a")), b = as<T>(in.at("b")), initial = as<T>(in.at("initial")), dh = as<T>(in.at("dh"));
  std::vector<T> h(a.size()), da(a.size()), db(a.size()), dinitial(initial.size());
  engine(DiagonalScanForward<T>{a.data(), b.data(), initial.data(), h.data(), s.batch, s.length, s.channels});
  engine(DiagonalScanBackward<T>{a.data(), h.data(), initial.data(), dh.data(), da.data(), db.data(), dinitial.data(), s.batch, s.length,
                                 s.channels});
  return {{"h", numbers_of(h)}, {"da", numbers_of(da)}, {"db", numbers_of(db)}, {"dinitial", numbers_of(dinitial)}};
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
  for (const Shape& s : {Shape{1, 1, 1}, Shape{2, 9, 16}, Shape{3, 50, 37}, Shape{1, 20, 131}}) {
    const Arrays in = inputs(s);
    const Arrays expected = run_case<double>(s, in, naive);
    expect_close(run_case<float>(s, in, kernel), expected, 1e-5);
    expect_close(run_case<double>(s, in, kernel), expected, 1e-13);
  }
}

TEST_P(DiagonalScan, GradientsAreCentralDifferences) {
  const Shape s{2, 4, 3};
  expect_gradients([&](const Arrays& in) { return run_case<double>(s, in, kernel); }, inputs(s), "h", "dh");
}

TEST_P(DiagonalScan, WithoutAnInitialStateStartsAtZero) {
  const std::vector<float> a{2, 2, 2}, b{1, 1, 1};
  std::vector<float> h(3), da(3), db(3);
  diagonal_scan_forward(DiagonalScanForward<float>{a.data(), b.data(), nullptr, h.data(), 1, 3, 1});
  EXPECT_EQ(h, (std::vector<float>{1, 3, 7}));
  diagonal_scan_backward(DiagonalScanBackward<float>{a.data(), h.data(), nullptr, b.data(), da.data(), db.data(), nullptr, 1, 3, 1});
  EXPECT_EQ(db, (std::vector<float>{7, 3, 1}));
  EXPECT_EQ(da, (std::vector<float>{0, 3, 3}));
}

INSTANTIATE_TEST_SUITE_P(Levels, DiagonalScan, ::testing::ValuesIn(supported_levels()), level_label);

}  // namespace
}  // namespace starling::kernels
