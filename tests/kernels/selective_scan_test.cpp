#include "support.hpp"

#include <starling/kernels/selective_scan_device.hpp>

namespace starling::kernels {
namespace {

class SelectiveScan : public AtEachEngine {};

struct Shape {
  std::int64_t batch;
  std::int64_t length;
  std::int64_t width;
  std::int64_t states;
  bool optional = true;  // bias, skip, z and an initial state are given
  std::int64_t stride() const { return width + 2; }
};

template <class T, class Engine>
Arrays run_case(const Shape& s, const Arrays& in, Engine engine) {
  using C = Compute<T>;
  const auto get = [&](const char* name) { return as<T>(in.at(name)); };
  const auto get_exact = [&](const char* name) { return as<C>(in.at(name)); };
  const auto v = get("v"), delta = get("delta"), b = get("b"), c = get("c"), z = get("z"), dy = get("dy");
  const auto bias = get_exact("bias"), a_log = get_exact("a_log"), skip = get_exact("skip"), initial = get_exact("initial");
  std::vector<T> y = zeros_like(v);
  std::vector<C> final = zeros_like(initial);
  std::vector<C> checkpoints(scan_checkpoint_elements(s.batch, s.length, s.width, s.states));
  const auto given = [&](const auto& x) { return s.optional ? x.data() : nullptr; };
  engine(SelectiveScanForward<T>{.v = v.data(),
                                 .delta = delta.data(),
                                 .bias = given(bias),
                                 .a_log = a_log.data(),
                                 .b = b.data(),
                                 .c = c.data(),
                                 .skip = given(skip),
                                 .z = given(z),
                                 .initial = given(initial),
                                 .y = y.data(),
                                 .final = final.data(),
                                 .checkpoints = checkpoints.data(),
                                 .batch = s.batch,
                                 .length = s.length,
                                 .width = s.width,
                                 .states = s.states,
                                 .v_stride = s.stride(),
                                 .delta_stride = s.stride(),
                                 .b_stride = 2 * s.states,
                                 .c_stride = 2 * s.states,
                                 .z_stride = s.stride(),
                                 .y_stride = s.stride()});
  std::vector<T> dv = zeros_like(v), ddelta = zeros_like(delta), db = zeros_like(b), dc = zeros_like(c), dz = zeros_like(z);
  std::vector<C> dbias = zeros_like(bias), da_log = zeros_like(a_log), dskip = zeros_like(skip);
  engine(SelectiveScanBackward<T>{.v = v.data(),
                                  .delta = delta.data(),
                                  .bias = given(bias),
                                  .a_log = a_log.data(),
                                  .b = b.data(),
                                  .c = c.data(),
                                  .skip = given(skip),
                                  .z = given(z),
                                  .checkpoints = checkpoints.data(),
                                  .dy = dy.data(),
                                  .dv = dv.data(),
                                  .ddelta = ddelta.data(),
                                  .dbias = s.optional ? dbias.data() : nullptr,
                                  .da_log = da_log.data(),
                                  .db = db.data(),
                                  .dc = dc.data(),
                                  .dskip = s.optional ? dskip.data() : nullptr,
                                  .dz = s.optional ? dz.data() : nullptr,
                                  .batch = s.batch,
                                  .length = s.length,
                                  .width = s.width,
                                  .states = s.states,
                                  .v_stride = s.stride(),
                                  .delta_stride = s.stride(),
                                  .b_stride = 2 * s.states,
                                  .c_stride = 2 * s.states,
                                  .z_stride = s.stride(),
                                  .dy_stride = s.stride(),
                                  .dv_stride = s.stride(),
                                  .ddelta_stride = s.stride(),
                                  .db_stride = 2 * s.states,
                                  .dc_stride = 2 * s.states,
                                  .dz_stride = s.stride()});
  Arrays out{{"y", numbers_of(y)},   {"final", numbers_of(final)},   {"checkpoints", numbers_of(checkpoints)},
             {"dv", numbers_of(dv)}, {"ddelta", numbers_of(ddelta)}, {"da_log", numbers_of(da_log)},
             {"db", numbers_of(db)}, {"dc", numbers_of(dc)}};
  if (s.optional) {
    out["dbias"] = numbers_of(dbias);
    out["dskip"] = numbers_of(dskip);
    out["dz"] = numbers_of(dz);
  }
  return out;
}

Arrays inputs(const Shape& s) {
  Stream stream = test_stream(static_cast<std::uint64_t>(s.length * 1000 + s.width * 10 + s.states));
  const std::int64_t tokens = s.batch * s.length;
  return {{"v", normal_numbers(stream, tokens * s.stride())},
          {"delta", normal_numbers(stream, tokens * s.stride())},
          {"bias", normal_numbers(stream, s.width)},
          {"a_log", normal_numbers(stream, s.width * s.states)},
          {"b", normal_numbers(stream, tokens * 2 * s.states)},
          {"c", normal_numbers(stream, tokens * 2 * s.states)},
          {"skip", normal_numbers(stream, s.width)},
          {"z", normal_numbers(stream, tokens * s.stride())},
          {"initial", normal_numbers(stream, s.batch * s.width * s.states)},
          {"dy", normal_numbers(stream, tokens * s.stride())}};
}

TEST_P(SelectiveScan, AgreesWithTheReferenceOnAnyShape) {
  const Shape shapes[] = {{1, 1, 1, 1},          {2, 1, 16, 16},        {2, 5, 7, 3, false},     {1, 63, 16, 16},
                          {2, 64, 5, 16, false}, {1, 65, 20, 16, true}, {2, 150, 24, 3},         {1, 129, 33, 16},
                          {1, 70, 9, 20},        {1, 260, 9, 5},        {2, 200, 34, 16, false}, {1, 40, 3, 64}};
  for (const Shape& s : shapes) {
    const Arrays in = inputs(s);
    const Arrays expected = run_case<double>(s, in, naive);
    expect_close(run_case<float>(s, in, kernel), expected, 3e-5);
    expect_close(run_case<double>(s, in, kernel), expected, 1e-11);
  }
}

TEST(SelectiveScanOnADevice, GivesTheSameBitsInAnyOrderOfThreads) {
  const Shape s{2, 150, 37, 16};
  const Arrays in = inputs(s);
  expect_same_in_any_order([&] { return run_case<float>(s, in, kernel); });
}

TEST_P(SelectiveScan, GradientsAreCentralDifferences) {
  for (const Shape& s : {Shape{2, 5, 3, 16}, Shape{1, 6, 3, 3, false}})
    expect_gradients([&](const Arrays& in) { return run_case<double>(s, in, kernel); }, inputs(s), "y", "dy");
}

TEST_P(SelectiveScan, StepsWithACarriedStateGiveTheWholeSequence) {
  const Shape s{1, 70, 18, 16};
  const Arrays in = inputs(s);
  const auto get = [&](const char* name) { return as<float>(in.at(name)); };
  const auto v = get("v"), delta = get("delta"), bias = get("bias"), a_log = get("a_log"), b = get("b"), c = get("c"), skip = get("skip"),
             z = get("z");
  std::vector<float> state = get("initial"), y(v.size(), 0.0f);
  for (std::int64_t t = 0; t < s.length; ++t)
    kernel(SelectiveScanForward<float>{.v = v.data() + t * s.stride(),
                                       .delta = delta.data() + t * s.stride(),
                                       .bias = bias.data(),
                                       .a_log = a_log.data(),
                                       .b = b.data() + t * 32,
                                       .c = c.data() + t * 32,
                                       .skip = skip.data(),
                                       .z = z.data() + t * s.stride(),
                                       .initial = state.data(),
                                       .y = y.data() + t * s.stride(),
                                       .final = state.data(),
                                       .batch = 1,
                                       .length = 1,
                                       .width = s.width,
                                       .states = 16,
                                       .v_stride = s.stride(),
                                       .delta_stride = s.stride(),
                                       .b_stride = 32,
                                       .c_stride = 32,
                                       .z_stride = s.stride(),
                                       .y_stride = s.stride()});
  const Arrays whole = run_case<float>(s, in, kernel);
  EXPECT_EQ(numbers_of(y), whole.at("y"));
  EXPECT_EQ(numbers_of(state), whole.at("final"));
}

TEST_P(SelectiveScan, ANaNReachesItsChannelFromItsTokenOn) {
  const Shape s{1, 40, 20, 16};
  Arrays in = inputs(s);
  in.at("v")[17 * s.stride() + 6] = not_a_number;
  const Numbers y = run_case<float>(s, in, kernel).at("y");
  for (std::int64_t i = 0; i < 40 * s.stride(); ++i) EXPECT_EQ(std::isnan(y[i]), i % s.stride() == 6 && i / s.stride() >= 17) << i;
}

TEST_P(SelectiveScan, ExtremeStepsForgetOrKeepWithoutNaN) {
  const Shape s{1, 140, 4, 16};
  Arrays in = inputs(s);
  for (std::size_t i = 0; i < in.at("delta").size(); ++i) in.at("delta")[i] = i % 3 == 0 ? 500 : -500;
  for (double& x : in.at("a_log")) x += 3;
  const Arrays out = run_case<float>(s, in, kernel);
  expect_close(out, run_case<double>(s, in, naive), 1e-4);
  for (const auto& [name, numbers] : out)
    for (double x : numbers) ASSERT_TRUE(std::isfinite(x)) << name;
}

TEST_P(SelectiveScan, InBfloat16IsTheSameRounded) {
  for (const Shape& s : {Shape{2, 5, 7, 3, false}, Shape{1, 65, 20, 16}, Shape{2, 129, 33, 16}}) {
    Arrays in = rounded(inputs(s));
    expect_rounded(run_case<bfloat16>(s, in, kernel), run_case<float>(s, in, kernel));
    in.at("v")[static_cast<std::size_t>(3 * s.stride())] = not_a_number;
    in.at("z")[static_cast<std::size_t>(2 * s.stride() + 1)] = not_a_number;
    expect_rounded(run_case<bfloat16>(s, in, kernel), run_case<float>(s, in, kernel));
  }
}

INSTANTIATE_TEST_SUITE_P(Engines, SelectiveScan, ::testing::ValuesIn(engines()), engine_label);

}  // namespace
}  // namespace starling::kernels
