#include "support.hpp"

#include <starling/kernels/gated_scan_device.hpp>

namespace starling::kernels {
namespace {

class GatedScan : public AtEachEngine {};

struct Shape {
  std::int64_t batch;
  std::int64_t length;
  std::int64_t width;
  std::int64_t states = 2;

  std::int64_t tokens() const { return batch * length; }
  /// Rows of v, gate, y and of B, C with a gap, as in a slice of a joint projection.
  std::int64_t row() const { return width + 3; }
  std::int64_t gate_row() const { return states * width + 5; }
  std::int64_t modulator_row() const { return states + 1; }
  std::int64_t plane() const { return batch * states * width; }
};

template <class T, class Engine>
Arrays run_case(const Shape& s, const Arrays& in, Engine engine) {
  using C = Compute<T>;
  const auto v = as<T>(in.at("v")), gate = as<T>(in.at("gate")), b = as<T>(in.at("b")), c = as<T>(in.at("c")), dy = as<T>(in.at("dy"));
  const auto bias = as<C>(in.at("bias")), initial = as<C>(in.at("initial"));
  std::vector<T> y = zeros_like(v), dv = zeros_like(v), dgate = zeros_like(gate), db = zeros_like(b), dc = zeros_like(c);
  std::vector<C> final(initial.size()), dbias = zeros_like(bias);
  std::vector<C> checkpoints(static_cast<std::size_t>(gated_scan_checkpoint_elements(s.batch, s.length, s.width, s.states)));
  engine(GatedScanForward<T>{.v = v.data(),
                             .gate = gate.data(),
                             .bias = bias.data(),
                             .b = b.data(),
                             .c = c.data(),
                             .initial = initial.empty() ? nullptr : initial.data(),
                             .y = y.data(),
                             .final = initial.empty() ? nullptr : final.data(),
                             .checkpoints = checkpoints.data(),
                             .batch = s.batch,
                             .length = s.length,
                             .width = s.width,
                             .states = s.states,
                             .v_stride = s.row(),
                             .gate_stride = s.gate_row(),
                             .b_stride = s.modulator_row(),
                             .c_stride = s.modulator_row(),
                             .y_stride = s.row()});
  engine(GatedScanBackward<T>{.v = v.data(),
                              .gate = gate.data(),
                              .bias = bias.data(),
                              .b = b.data(),
                              .c = c.data(),
                              .checkpoints = checkpoints.data(),
                              .dy = dy.data(),
                              .dv = dv.data(),
                              .dgate = dgate.data(),
                              .dbias = dbias.data(),
                              .db = db.data(),
                              .dc = dc.data(),
                              .batch = s.batch,
                              .length = s.length,
                              .width = s.width,
                              .states = s.states,
                              .v_stride = s.row(),
                              .gate_stride = s.gate_row(),
                              .b_stride = s.modulator_row(),
                              .c_stride = s.modulator_row(),
                              .dy_stride = s.row(),
                              .dv_stride = s.row(),
                              .dgate_stride = s.gate_row(),
                              .db_stride = s.modulator_row(),
                              .dc_stride = s.modulator_row()});
  return {{"y", numbers_of(y)},         {"final", numbers_of(final)}, {"dv", numbers_of(dv)}, {"dgate", numbers_of(dgate)},
          {"dbias", numbers_of(dbias)}, {"db", numbers_of(db)},       {"dc", numbers_of(dc)}};
}

Arrays inputs(const Shape& s, bool with_initial = true) {
  Stream stream = test_stream(static_cast<std::uint64_t>(s.length * 1000 + s.width * 10 + s.states));
  return {{"v", normal_numbers(stream, s.tokens() * s.row())},
          {"gate", normal_numbers(stream, s.tokens() * s.gate_row(), 2)},
          {"b", normal_numbers(stream, s.tokens() * s.modulator_row())},
          {"c", normal_numbers(stream, s.tokens() * s.modulator_row())},
          {"dy", normal_numbers(stream, s.tokens() * s.row())},
          {"bias", normal_numbers(stream, s.states * s.width)},
          {"initial", normal_numbers(stream, with_initial ? s.plane() : 0)}};
}

/// In numbers that bfloat16 holds, but for what is float there too.
Arrays rounded_inputs(const Shape& s) {
  const Arrays exact = inputs(s);
  Arrays in = rounded(exact);
  for (const char* name : {"bias", "initial"}) in[name] = exact.at(name);
  return in;
}

TEST_P(GatedScan, AgreesWithTheReferenceOnAnyShape) {
  for (const Shape& s :
       {Shape{1, 1, 1, 1}, Shape{2, 5, 7, 3}, Shape{1, 65, 20, 2}, Shape{2, 130, 37, 2}, Shape{1, 70, 33, 5}, Shape{2, 200, 35, 2}})
    for (const bool with_initial : {false, true}) {
      SCOPED_TRACE(s.length);
      const Arrays in = inputs(s, with_initial);
      const Arrays expected = run_case<double>(s, in, naive);
      expect_close(run_case<float>(s, in, kernel), expected, 2e-5);
      expect_close(run_case<double>(s, in, kernel), expected, 1e-12);
    }
}

TEST(GatedScanOnADevice, GivesTheSameBitsInAnyOrderOfThreads) {
  const Shape s{2, 200, 70};
  const Arrays in = inputs(s);
  expect_same_in_any_order([&] { return run_case<float>(s, in, kernel); });
}

TEST_P(GatedScan, GradientsAreCentralDifferences) {
  for (const std::int64_t states : {2, 3}) {
    const Shape s{2, 5, 3, states};
    expect_gradients([&](const Arrays& in) { return run_case<double>(s, in, kernel); }, inputs(s), "y", "dy");
  }
}

TEST_P(GatedScan, StepsThatCarryTheStateGiveTheWholeSequence) {
  const Shape s{2, 75, 20};
  const Arrays in = inputs(s);
  const Arrays whole = run_case<float>(s, in, kernel);
  const auto v = as<float>(in.at("v")), gate = as<float>(in.at("gate")), b = as<float>(in.at("b")), c = as<float>(in.at("c")),
             bias = as<float>(in.at("bias"));
  std::vector<float> y(v.size()), state = as<float>(in.at("initial"));
  for (std::int64_t token = 0; token < s.tokens(); ++token) {
    float* const carried = state.data() + token / s.length * s.states * s.width;
    kernel(GatedScanForward<float>{.v = v.data() + token * s.row(),
                                   .gate = gate.data() + token * s.gate_row(),
                                   .bias = bias.data(),
                                   .b = b.data() + token * s.modulator_row(),
                                   .c = c.data() + token * s.modulator_row(),
                                   .initial = carried,
                                   .y = y.data() + token * s.row(),
                                   .final = carried,
                                   .batch = 1,
                                   .length = 1,
                                   .width = s.width,
                                   .states = s.states});
  }
  expect_close(numbers_of(y), whole.at("y"), 1e-6, "y");
  expect_close(numbers_of(state), whole.at("final"), 1e-6, "final");
}

TEST_P(GatedScan, ALaterTokenMovesNoEarlierOutputEvenByNaN) {
  const Shape s{1, 80, 18};
  Arrays in = inputs(s);
  const Numbers before = run_case<float>(s, in, kernel).at("y");
  for (const double value : {1000.0, not_a_number}) {
    for (std::int64_t c = 0; c < s.width; ++c) in.at("v")[static_cast<std::size_t>(41 * s.row() + c)] = value;
    const Numbers after = run_case<float>(s, in, kernel).at("y");
    for (std::int64_t t = 0; t < s.length; ++t)
      for (std::int64_t c = 0; c < s.width; ++c) {
        const auto i = static_cast<std::size_t>(t * s.row() + c);
        if (t < 41) {
          ASSERT_EQ(before[i], after[i]) << t;
        } else if (t == 41 || std::isnan(value)) {
          ASSERT_NE(before[i], after[i]) << t;
        }
      }
  }
}

TEST_P(GatedScan, AGateWideOpenKeepsTheStateAndAShutOneForgetsIt) {
  const Shape s{1, 70, 17};
  Arrays in = inputs(s);
  std::fill(in.at("gate").begin(), in.at("gate").end(), 200.0);
  EXPECT_EQ(run_case<float>(s, in, kernel).at("final"), in.at("initial"));
  std::fill(in.at("gate").begin(), in.at("gate").end(), -200.0);
  const Arrays out = run_case<float>(s, in, kernel);
  expect_close(out, run_case<double>(s, in, naive), 1e-6);
  for (const auto& [name, numbers] : out)
    for (const double x : numbers) ASSERT_TRUE(std::isfinite(x)) << name;
}

TEST_P(GatedScan, InBfloat16IsTheSameRounded) {
  for (const Shape& s : {Shape{2, 5, 7, 3}, Shape{1, 65, 20, 2}, Shape{2, 130, 37, 2}}) {
    Arrays in = rounded_inputs(s);
    const Arrays found = run_case<bfloat16>(s, in, kernel), expected = run_case<float>(s, in, kernel);
    expect_rounded(found, expected);
    expect_close(found.at("final"), expected.at("final"), 1e-6, "final");
    expect_close(found.at("dbias"), expected.at("dbias"), 1e-6, "dbias");
    in.at("v")[static_cast<std::size_t>(3 * s.row())] = not_a_number;
    expect_rounded(run_case<bfloat16>(s, in, kernel), run_case<float>(s, in, kernel));
  }
}

INSTANTIATE_TEST_SUITE_P(Engines, GatedScan, ::testing::ValuesIn(engines()), engine_label);

}  // namespace
}  // namespace starling::kernels
