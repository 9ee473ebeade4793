#include "support.hpp"

#include <starling/kernels/gated_unit_device.hpp>

namespace starling::kernels {
namespace {

class GatedUnit : public AtEachEngine {};

struct Shape {
  std::int64_t rows;
  std::int64_t width;
  std::int64_t stride;  // of gate and value
  Gate activation;
};

template <class T, class Engine>
Arrays run_case(const Shape& s, const Arrays& in, Engine engine) {
  const auto gate = as<T>(in.at("gate")), value = as<T>(in.at("value")), dy = as<T>(in.at("dy"));
  std::vector<T> y(dy.size()), dgate(gate.size(), T(0)), dvalue(value.size(), T(0));
  engine(GatedUnitForward<T>{gate.data(), value.data(), y.data(), s.rows, s.width, s.stride, s.stride, s.width, s.activation});
  engine(GatedUnitBackward<T>{gate.data(), value.data(), dy.data(), dgate.data(), dvalue.data(), s.rows, s.width, s.stride, s.stride,
                              s.width, s.stride, s.stride, s.activation});
  return {{"y", numbers_of(y)}, {"dgate", numbers_of(dgate)}, {"dvalue", numbers_of(dvalue)}};
}

Arrays inputs(const Shape& s, double scale = 2) {
  Stream stream = test_stream(static_cast<std::uint64_t>(s.width));
  return {{"gate", normal_numbers(stream, s.rows * s.stride, scale)},
          {"value", normal_numbers(stream, s.rows * s.stride)},
          {"dy", normal_numbers(stream, s.rows * s.width)}};
}

constexpr Gate gates[] = {Gate::silu, Gate::gelu, Gate::relu, Gate::identity};

TEST_P(GatedUnit, AgreesWithTheReferenceOnAnyShapeAndStride) {
  for (Gate gate : gates)
    for (std::int64_t width : {1, 7, 16, 40, 171}) {
      const Shape s{3, width, width + 5, gate};
      const Arrays in = inputs(s);
      const Arrays expected = run_case<double>(s, in, naive);
      expect_close(run_case<float>(s, in, kernel), expected, 1e-6);
      expect_close(run_case<double>(s, in, kernel), expected, 1e-13);
    }
}

TEST_P(GatedUnit, GradientsAreCentralDifferences) {
  for (Gate gate : gates) {
    const Shape s{2, 5, 5, gate};
    expect_gradients([&](const Arrays& in) { return run_case<double>(s, in, kernel); }, inputs(s), "y", "dy");
  }
}

TEST_P(GatedUnit, TheTailOfGeluKeepsItsRelativePrecision) {
  const Shape s{1, 4, 4, Gate::gelu};
  const Arrays in{{"gate", {-2, -5, -8, -12}}, {"value", {1, 1, 1, 1}}, {"dy", {1, 1, 1, 1}}};
  const Numbers expected = run_case<double>(s, in, naive).at("y");
  const Numbers found = run_case<float>(s, in, kernel).at("y");
  for (std::size_t i = 0; i < 4; ++i) EXPECT_NEAR(found[i] / expected[i], 1, 2e-5) << i;
}

TEST_P(GatedUnit, LargeGatesSaturateAndNaNStays) {
  for (Gate gate : {Gate::silu, Gate::gelu, Gate::relu}) {
    const Shape s{1, 5, 5, gate};
    const Arrays in{{"gate", {1e4, -1e4, infinity, not_a_number, 0}}, {"value", {1, 1, 1, 1, 1}}, {"dy", {1, 1, 1, 1, 1}}};
    const Arrays out = run_case<float>(s, in, kernel);
    EXPECT_EQ(out.at("y")[0], 1e4);
    EXPECT_EQ(out.at("dgate")[0], 1);
    EXPECT_EQ(out.at("y")[1], 0);
    EXPECT_EQ(out.at("dgate")[1], 0);
    EXPECT_EQ(out.at("y")[2], infinity);
    EXPECT_TRUE(std::isnan(out.at("y")[3]));
    EXPECT_EQ(out.at("y")[4], 0);
  }
}

TEST_P(GatedUnit, InBfloat16IsTheSameRounded) {
  for (Gate gate : gates)
    for (std::int64_t width : {1, 16, 171}) {
      const Shape s{3, width, width + 5, gate};
      Arrays in = rounded(inputs(s));
      in.at("gate")[0] = not_a_number;
      in.at("value")[static_cast<std::size_t>(width + 5)] = -infinity;
      expect_rounded(run_case<bfloat16>(s, in, kernel), run_case<float>(s, in, kernel));
    }
}

INSTANTIATE_TEST_SUITE_P(Engines, GatedUnit, ::testing::ValuesIn(engines()), engine_label);

}  // namespace
}  // namespace starling::kernels
