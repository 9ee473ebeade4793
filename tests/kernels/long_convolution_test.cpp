#include "support.hpp"

#include <starling/kernels/long_convolution_device.hpp>

#include <algorithm>

namespace starling::kernels {
namespace {

class LongConvolution : public AtEachEngine {};

struct Shape {
  std::int64_t batch;
  std::int64_t length;
  std::int64_t channels;
};

/// Rows with a gap, as in a slice of a joint projection.
constexpr std::int64_t gap = 3;

template <class T, class Engine>
Arrays run_case(const Shape& s, const Arrays& in, Engine engine) {
  const auto x = as<T>(in.at("x")), dy = as<T>(in.at("dy"));
  const auto filter = as<Compute<T>>(in.at("kernel"));
  std::vector<T> y = zeros_like(x), dx = zeros_like(x);
  std::vector<Compute<T>> dkernel = zeros_like(filter);
  const std::int64_t row = s.channels + gap;
  engine(LongConvolutionForward<T>{.x = x.data(),
                                   .kernel = filter.data(),
                                   .y = y.data(),
                                   .batch = s.batch,
                                   .length = s.length,
                                   .outputs = s.length,
                                   .channels = s.channels,
                                   .x_stride = row,
                                   .x_batch = s.length * row,
                                   .y_stride = row,
                                   .y_batch = s.length * row,
                                   .kernel_stride = row});
  engine(LongConvolutionBackward<T>{.x = x.data(),
                                    .kernel = filter.data(),
                                    .dy = dy.data(),
                                    .dx = dx.data(),
                                    .dkernel = dkernel.data(),
                                    .batch = s.batch,
                                    .length = s.length,
                                    .channels = s.channels,
                                    .x_stride = row,
                                    .x_batch = s.length * row,
                                    .dy_stride = row,
                                    .dy_batch = s.length * row,
                                    .dx_stride = row,
                                    .dx_batch = s.length * row,
                                    .kernel_stride = row,
                                    .dkernel_stride = row});
  return {{"y", numbers_of(y)}, {"dx", numbers_of(dx)}, {"dkernel", numbers_of(dkernel)}};
}

Arrays inputs(const Shape& s) {
  Stream stream = test_stream(static_cast<std::uint64_t>(s.length * 100 + s.channels));
  return {{"x", normal_numbers(stream, s.batch * s.length * (s.channels + gap))},
          {"kernel", normal_numbers(stream, s.length * (s.channels + gap))},
          {"dy", normal_numbers(stream, s.batch * s.length * (s.channels + gap))}};
}

TEST_P(LongConvolution, AgreesWithTheReferenceOnAnyShape) {
  for (const Shape& s : {Shape{1, 1, 1}, Shape{2, 7, 4}, Shape{1, 8, 17}, Shape{2, 9, 33}, Shape{1, 127, 3}, Shape{1, 128, 2},
                         Shape{2, 129, 5}, Shape{1, 300, 20}, Shape{1, 512, 2}, Shape{1, 1000, 2}, Shape{1, 1033, 1}}) {
    SCOPED_TRACE(s.length);
    const Arrays in = inputs(s);
    const Arrays expected = run_case<double>(s, in, naive);
    expect_close(run_case<float>(s, in, kernel), expected, 3e-5);
    expect_close(run_case<double>(s, in, kernel), expected, 1e-12);
  }
}

TEST_P(LongConvolution, SumsTheKernelsGradientOverAnyNumberOfSequences) {
  // The first so wide that a block of a device sums several of them.
  for (const Shape& s : {Shape{4, 2, 8200}, Shape{50, 2, 3}}) {
    const Arrays in = inputs(s);
    expect_close(run_case<float>(s, in, kernel), run_case<double>(s, in, naive), 3e-5);
  }
}

TEST(LongConvolutionOnADevice, GivesTheSameBitsInAnyOrderOfThreads) {
  const Shape s{3, 300, 37};
  const Arrays in = inputs(s);
  expect_same_in_any_order([&] { return run_case<float>(s, in, kernel); });
}

TEST_P(LongConvolution, GradientsAreCentralDifferences) {
  const Shape s{2, 11, 3};
  expect_gradients([&](const Arrays& in) { return run_case<double>(s, in, kernel); }, inputs(s), "y", "dy");
}

TEST_P(LongConvolution, TheLastOutputsAreThoseOfTheWholeSequence) {
  const Shape s{2, 150, 70};
  const std::int64_t row = s.channels + gap;
  const Arrays in = inputs(s);
  const Numbers whole = run_case<double>(s, in, naive).at("y");
  const auto x = as<float>(in.at("x")), filter = as<float>(in.at("kernel"));
  for (const std::int64_t outputs : {1, 3, 8, 9, 100}) {
    for (const std::int64_t length : {s.length, std::int64_t{110}}) {
      std::vector<float> y(s.batch * outputs * row, 0.0f);
      kernel(LongConvolutionForward<float>{.x = x.data(),
                                           .kernel = filter.data(),
                                           .y = y.data(),
                                           .batch = s.batch,
                                           .length = length,
                                           .outputs = outputs,
                                           .channels = s.channels,
                                           .x_stride = row,
                                           .x_batch = s.length * row,
                                           .y_stride = row,
                                           .y_batch = outputs * row,
                                           .kernel_stride = row});
      Numbers expected;
      for (std::int64_t b = 0; b < s.batch; ++b) {
        const auto begin = whole.begin() + (b * s.length + length - outputs) * row;
        expected.insert(expected.end(), begin, begin + outputs * row);
      }
      expect_close(numbers_of(y), expected, 3e-5, "y");
    }
  }
}

TEST_P(LongConvolution, ALaterTokenMovesNoEarlierOutputEvenByNaN) {
  const Shape s{1, 700, 5};
  Arrays in = inputs(s);
  const std::int64_t row = s.channels + gap;
  const Numbers before = run_case<float>(s, in, kernel).at("y");
  for (const std::int64_t changed : {3, 200, 511, 640}) {
    for (const double value : {1000.0, not_a_number}) {
      Arrays other = in;
      for (std::int64_t i = changed * row; i < (changed + 1) * row; ++i) other.at("x")[i] = value;
      const Numbers after = run_case<float>(s, other, kernel).at("y");
      for (std::int64_t i = 0; i < changed * row; ++i) ASSERT_EQ(before[i], after[i]) << i;
      for (std::int64_t t = changed; t < s.length; ++t) ASSERT_NE(before[t * row], after[t * row]) << t;
    }
  }
}

TEST_P(LongConvolution, AUnitKernelIsTheIdentity) {
  const Shape s{1, 600, 4};
  Arrays in = inputs(s);
  std::fill(in.at("kernel").begin(), in.at("kernel").end(), 0.0);
  for (std::int64_t c = 0; c < s.channels; ++c) in.at("kernel")[c] = 1;
  const Numbers y = run_case<double>(s, in, kernel).at("y");
  for (std::int64_t t = 0; t < s.length; ++t)
    for (std::int64_t c = 0; c < s.channels; ++c) ASSERT_NEAR(y[t * 7 + c], in.at("x")[t * 7 + c], 1e-12);
}

TEST_P(LongConvolution, InBfloat16IsTheSameRounded) {
  for (const Shape& s : {Shape{2, 7, 4}, Shape{1, 9, 33}, Shape{2, 300, 20}}) {
    Arrays in = rounded(inputs(s));
    expect_rounded(run_case<bfloat16>(s, in, kernel), run_case<float>(s, in, kernel));
    in.at("x")[static_cast<std::size_t>(5 * (s.channels + gap))] = not_a_number;
    expect_rounded(run_case<bfloat16>(s, in, kernel), run_case<float>(s, in, kernel));
  }
}

INSTANTIATE_TEST_SUITE_P(Engines, LongConvolution, ::testing::ValuesIn(engines()), engine_label);

}  // namespace
}  // namespace starling::kernels
