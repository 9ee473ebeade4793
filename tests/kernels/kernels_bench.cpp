// Time of every kernel in float on one thread, beside its floor (bench_floor.hpp); `x_floor` is the ratio. An exponential counts as 20
// operations (ten multiply-adds). Set STARLING_KERNEL_LEVEL=0, 1, 2 for a lower level.
#include "bench_floor.hpp"

#include <starling/kernels/adamw.hpp>
#include <starling/kernels/attention.hpp>
#include <starling/kernels/complex_scan.hpp>
#include <starling/kernels/cross_entropy.hpp>
#include <starling/kernels/diagonal_scan.hpp>
#include <starling/kernels/gated_scan.hpp>
#include <starling/kernels/gated_unit.hpp>
#include <starling/kernels/linear_attention.hpp>
#include <starling/kernels/long_convolution.hpp>
#include <starling/kernels/matrix_recurrence.hpp>
#include <starling/kernels/rms_norm.hpp>
#include <starling/kernels/rope.hpp>
#include <starling/kernels/selective_scan.hpp>
#include <starling/kernels/short_conv.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

namespace {

using namespace starling::kernels;
using Floats = std::vector<float>;

constexpr std::int64_t batch = 4;
constexpr double flops_of_exp = 20;

Floats filled(std::int64_t count, float scale = 1) {
  Floats values(static_cast<std::size_t>(count));
  std::uint32_t state = 12345;
  for (float& x : values) {
    state = state * 1664525u + 1013904223u;
    x = scale * (static_cast<float>(state >> 8) / 8388608.0f - 1);
  }
  return values;
}

void rms_norm(benchmark::State& state) {
  const std::int64_t rows = batch * state.range(0), width = state.range(1);
  const double count = static_cast<double>(rows * width);
  Floats x = filled(rows * width), weight = filled(width), y(x.size()), dx(x.size()), dweight(weight.size()), inverse(rows);
  measure(state, count * 4 * 5, count * 12, [&] {
    rms_norm_forward(RmsNormForward<float>{x.data(), weight.data(), y.data(), inverse.data(), rows, width, 1e-5f});
    rms_norm_backward(RmsNormBackward<float>{x.data(), weight.data(), inverse.data(), y.data(), dx.data(), dweight.data(), rows, width});
  });
}

void gated_unit(benchmark::State& state, Gate gate) {
  const std::int64_t rows = batch * state.range(0), width = state.range(1) * 8 / 3;
  const double count = static_cast<double>(rows * width);
  Floats g = filled(rows * width, 3), v = filled(rows * width), y(g.size()), dg(g.size()), dv(g.size());
  const double exps = gate == Gate::relu ? 0 : gate == Gate::silu ? 2 : 3;
  measure(state, count * 4 * 8, count * (10 + exps * flops_of_exp), [&] {
    gated_unit_forward(GatedUnitForward<float>{g.data(), v.data(), y.data(), rows, width, width, width, width, gate});
    gated_unit_backward(
        GatedUnitBackward<float>{g.data(), v.data(), y.data(), dg.data(), dv.data(), rows, width, width, width, width, width, width, gate});
  });
}

void short_conv(benchmark::State& state) {
  const std::int64_t length = state.range(0), width = state.range(1), taps = 4;
  const double count = static_cast<double>(batch * length * width);
  Floats x = filled(batch * length * width), weight = filled(width * taps), y(x.size()), dx(x.size()), dweight(weight.size());
  measure(state, count * 4 * 5, count * (8.0 * taps + 2 * flops_of_exp), [&] {
    short_conv_forward(ShortConvForward<float>{x.data(), weight.data(), nullptr, y.data(), nullptr, batch, length, width, taps, width,
                                               width, ShortConvActivation::silu});
    short_conv_backward(ShortConvBackward<float>{x.data(), weight.data(), nullptr, y.data(), dx.data(), dweight.data(), batch, length,
                                                 width, taps, width, width, width, ShortConvActivation::silu});
  });
}

void selective_scan(benchmark::State& state, bool backward) {
  const std::int64_t length = state.range(0), width = state.range(1), states = 16, tokens = batch * length;
  Floats v = filled(tokens * width), delta = filled(tokens * width), bias = filled(width), a_log = filled(width * states),
         b = filled(tokens * states), c = filled(tokens * states), skip = filled(width), z = filled(tokens * width);
  Floats y(v.size()), checkpoints(scan_checkpoint_elements(batch, length, width, states));
  Floats dv(v.size()), ddelta(v.size()), dbias(bias.size()), da_log(a_log.size()), db(b.size()), dc(c.size()), dskip(width), dz(v.size());
  const SelectiveScanForward<float> forward{.v = v.data(),
                                            .delta = delta.data(),
                                            .bias = bias.data(),
                                            .a_log = a_log.data(),
                                            .b = b.data(),
                                            .c = c.data(),
                                            .skip = skip.data(),
                                            .z = z.data(),
                                            .y = y.data(),
                                            .checkpoints = checkpoints.data(),
                                            .batch = batch,
                                            .length = length,
                                            .width = width,
                                            .states = states,
                                            .v_stride = width,
                                            .delta_stride = width,
                                            .b_stride = states,
                                            .c_stride = states,
                                            .z_stride = width,
                                            .y_stride = width};
  const SelectiveScanBackward<float> back{.v = v.data(),
                                          .delta = delta.data(),
                                          .bias = bias.data(),
                                          .a_log = a_log.data(),
                                          .b = b.data(),
                                          .c = c.data(),
                                          .skip = skip.data(),
                                          .z = z.data(),
                                          .checkpoints = checkpoints.data(),
                                          .dy = y.data(),
                                          .dv = dv.data(),
                                          .ddelta = ddelta.data(),
                                          .dbias = dbias.data(),
                                          .da_log = da_log.data(),
                                          .db = db.data(),
                                          .dc = dc.data(),
                                          .dskip = dskip.data(),
                                          .dz = dz.data(),
                                          .batch = batch,
                                          .length = length,
                                          .width = width,
                                          .states = states,
                                          .v_stride = width,
                                          .delta_stride = width,
                                          .b_stride = states,
                                          .c_stride = states,
                                          .z_stride = width,
                                          .dy_stride = width,
                                          .dv_stride = width,
                                          .ddelta_stride = width,
                                          .db_stride = states,
                                          .dc_stride = states,
                                          .dz_stride = width};
  const double count = static_cast<double>(tokens * width);
  const double updates = count * static_cast<double>(states);
  const double flops = updates * (flops_of_exp + 6) + (backward ? updates * (flops_of_exp + 21) : 0);
  selective_scan_forward(forward);
  measure(state, count * 4 * (backward ? 12 : 4), flops, [&] {
    selective_scan_forward(forward);
    if (backward) selective_scan_backward(back);
  });
}

void rotary(benchmark::State& state) {
  const std::int64_t length = state.range(0), width = state.range(1), heads = 4, head = width / heads;
  Floats x = filled(batch * length * width), y(x.size()), cosine(length * head / 2), sine(cosine.size());
  rope_table(cosine.data(), sine.data(), 0, length, head);
  const double count = static_cast<double>(batch * length * width);
  measure(state, count * 8, count * 3, [&] {
    rope(Rope<float>{x.data(), y.data(), cosine.data(), sine.data(), batch, length, heads, head, length * width, width, head,
                     length * width, width, head, false});
  });
}

void cross_entropy_bytes(benchmark::State& state) {
  const std::int64_t rows = batch * state.range(0), vocabulary = 256;
  Floats logits = filled(rows * vocabulary, 4), gradient(logits.size());
  std::vector<std::int64_t> targets(rows);
  for (std::int64_t r = 0; r < rows; ++r) targets[r] = r % vocabulary;
  const double count = static_cast<double>(rows * vocabulary);
  measure(state, count * 8, count * (flops_of_exp + 4), [&] {
    cross_entropy(CrossEntropy<float>{.logits = logits.data(),
                                      .targets = targets.data(),
                                      .dlogits = gradient.data(),
                                      .rows = rows,
                                      .vocabulary = vocabulary,
                                      .logits_stride = vocabulary,
                                      .dlogits_stride = vocabulary});
  });
}

void attention(benchmark::State& state, bool backward) {
  const std::int64_t length = state.range(0), width = state.range(1), heads = 4, head = width / heads;
  const HeadStrides s = contiguous_heads(length, heads, head);
  Floats q = filled(batch * length * width), k = q, v = q, out(q.size()), lse(batch * heads * length), dq(q.size()), dk(q.size()),
         dv(q.size());
  const float scale = 1 / std::sqrt(static_cast<float>(head));
  const double pairs = static_cast<double>(batch * heads * length) * static_cast<double>(length + 1) / 2;
  const double bytes = static_cast<double>(q.size()) * 4 * (backward ? 12 : 4);
  const double products = pairs * 2 * static_cast<double>(head);
  measure(state, bytes, products * (backward ? 7 : 2) + pairs * flops_of_exp * (backward ? 2 : 1), [&] {
    attention_forward(AttentionForward<float>{q.data(), k.data(), v.data(), out.data(), lse.data(), s, s, s, s, batch, heads, heads, heads,
                                              length, length, head, head, 0, scale});
    if (backward)
      attention_backward(AttentionBackward<float>{
          q.data(), k.data(), v.data(), out.data(), lse.data(), out.data(), dq.data(), dk.data(), dv.data(), s,    s,    s, s,    s,
          s,        s,        s,        batch,      heads,      heads,      heads,     length,    length,    head, head, 0, scale});
  });
}

void attention_step(benchmark::State& state) {
  const std::int64_t length = state.range(0), width = state.range(1), heads = 4, head = width / heads;
  const HeadStrides s = contiguous_heads(length, heads, head), one = contiguous_heads(1, heads, head);
  Floats q = filled(batch * width), k = filled(batch * length * width), v = k, out(q.size());
  const double count = static_cast<double>(batch * length * width);
  measure(state, count * 8, count * 4, [&] {
    attention_forward(AttentionForward<float>{q.data(), k.data(), v.data(), out.data(), nullptr, one, s, s, one, batch, heads, heads, heads,
                                              1, length, head, head, 0, 0.2f});
  });
}

void matrix_recurrence(benchmark::State& state, MatrixDecay decay, bool backward) {
  const std::int64_t length = state.range(0), width = state.range(1), heads = 4, head = width / heads;
  const HeadStrides s = contiguous_heads(length, heads, head);
  const std::int64_t decay_width = decay == MatrixDecay::per_channel ? head : 1;
  const HeadStrides of_decay = contiguous_heads(length, heads, decay_width);
  Floats q = filled(batch * length * width), k = q, v = q, y(q.size()), dq(q.size()), dk(q.size()), dv(q.size());
  Floats log_decay(batch * length * heads * decay_width, -0.1f), dlog_decay(log_decay.size());
  // The state is updated and read, in the backward pass by three recurrences.
  const double count = static_cast<double>(q.size()), scans = backward ? 4 : 1;
  const double per_element = decay == MatrixDecay::none ? 4 : 5;
  measure(state, count * 4 * (backward ? 11 : 4), scans * per_element * count * static_cast<double>(head), [&] {
    matrix_recurrence_forward(MatrixRecurrenceForward<float>{q.data(), k.data(), v.data(), log_decay.data(), nullptr, y.data(), nullptr, s,
                                                             s, s, of_decay, s, batch, length, heads, head, head, decay});
    if (backward)
      matrix_recurrence_backward(MatrixRecurrenceBackward<float>{q.data(),  k.data(),
                                                                 v.data(),  log_decay.data(),
                                                                 nullptr,   y.data(),
                                                                 dq.data(), dk.data(),
                                                                 dv.data(), dlog_decay.data(),
                                                                 s,         s,
                                                                 s,         of_decay,
                                                                 s,         s,
                                                                 s,         s,
                                                                 of_decay,  batch,
                                                                 length,    heads,
                                                                 head,      head,
                                                                 decay});
  });
}

void linear_attention(benchmark::State& state, bool backward) {
  const std::int64_t length = state.range(0), width = state.range(1), heads = 4, head = width / heads;
  const HeadStrides s = contiguous_heads(length, heads, head);
  Floats q = filled(batch * length * width), k = q, v = q, y(q.size()), dq(q.size()), dk(q.size()), dv(q.size());
  Floats inverse_norm(batch * heads * length);
  const double count = static_cast<double>(q.size());
  const double flops = count * (4 * static_cast<double>(head) + 2 * flops_of_exp) * (backward ? 4 : 1);
  measure(state, count * 4 * (backward ? 12 : 4), flops, [&] {
    linear_attention_forward(LinearAttentionForward<float>{q.data(), k.data(), v.data(), nullptr, nullptr, y.data(), nullptr, nullptr,
                                                           inverse_norm.data(), s, s, s, s, batch, length, heads, head, head});
    if (backward)
      linear_attention_backward(LinearAttentionBackward<float>{q.data(), k.data(),  v.data(),  y.data(),  inverse_norm.data(),
                                                               y.data(), dq.data(), dk.data(), dv.data(), s,
                                                               s,        s,         s,         s,         s,
                                                               s,        s,         batch,     length,    heads,
                                                               head,     head});
  });
}

void long_convolution(benchmark::State& state, bool backward) {
  const std::int64_t length = state.range(0), width = state.range(1), sequence = length * width;
  Floats x = filled(batch * sequence), filter = filled(sequence), y(x.size()), dx(x.size()), dfilter(filter.size());
  const double count = static_cast<double>(x.size());
  // Operations of the plain sum; halved blocks need fewer.
  measure(state, count * 4 * (backward ? 6 : 3), count * static_cast<double>(length + 1) * (backward ? 3 : 1), [&] {
    long_convolution_forward(LongConvolutionForward<float>{x.data(), filter.data(), y.data(), batch, length, length, width, width, sequence,
                                                           width, sequence, width});
    if (backward)
      long_convolution_backward(LongConvolutionBackward<float>{x.data(), filter.data(), y.data(), dx.data(), dfilter.data(), batch, length,
                                                               width, width, sequence, width, sequence, width, sequence, width, width});
  });
}

void complex_scan(benchmark::State& state, bool liquid, bool backward) {
  const std::int64_t length = state.range(0), width = state.range(1), pairs = 32, tokens = batch * length, size = 2 * pairs * width;
  Floats u = filled(tokens * width), decay = filled(size, 0.7f), weight = filled(size), leak = filled(size, 0.01f), skip = filled(width);
  Floats y(u.size()), checkpoints(complex_scan_checkpoint_elements(batch, length, width, pairs));
  Floats du(u.size()), ddecay(size), dweight(size), dleak(size), dskip(width);
  const float* leaks = liquid ? leak.data() : nullptr;
  const double count = static_cast<double>(tokens * width), updates = count * static_cast<double>(pairs);
  const double flops = liquid ? (backward ? 35 : 8) : (backward ? 23 : 6);
  measure(state, count * 4 * (backward ? 6 : 3), 2 * updates * flops + (liquid ? count * flops_of_exp : 0), [&] {
    complex_scan_forward(ComplexScanForward<float>{.u = u.data(),
                                                   .decay = decay.data(),
                                                   .weight = weight.data(),
                                                   .leak = leaks,
                                                   .skip = skip.data(),
                                                   .y = y.data(),
                                                   .checkpoints = checkpoints.data(),
                                                   .batch = batch,
                                                   .length = length,
                                                   .width = width,
                                                   .pairs = pairs,
                                                   .u_stride = width,
                                                   .y_stride = width});
    if (backward)
      complex_scan_backward(ComplexScanBackward<float>{.u = u.data(),
                                                       .decay = decay.data(),
                                                       .weight = weight.data(),
                                                       .leak = leaks,
                                                       .skip = skip.data(),
                                                       .checkpoints = checkpoints.data(),
                                                       .dy = y.data(),
                                                       .du = du.data(),
                                                       .ddecay = ddecay.data(),
                                                       .dweight = dweight.data(),
                                                       .dleak = liquid ? dleak.data() : nullptr,
                                                       .dskip = dskip.data(),
                                                       .batch = batch,
                                                       .length = length,
                                                       .width = width,
                                                       .pairs = pairs,
                                                       .u_stride = width,
                                                       .dy_stride = width,
                                                       .du_stride = width});
  });
}

void adamw_step(benchmark::State& state) {
  const std::int64_t count = state.range(0);
  Floats p = filled(count), g = filled(count), m(p.size()), v(p.size());
  measure(state, static_cast<double>(count) * 4 * 7, static_cast<double>(count) * 14, [&] {
    adamw(AdamW<float>{.parameter = p.data(),
                       .gradient = g.data(),
                       .first = m.data(),
                       .second = v.data(),
                       .count = count,
                       .step = 10,
                       .learning_rate = 1e-3,
                       .weight_decay = 0.1});
  });
}

void squares(benchmark::State& state) {
  const std::int64_t count = state.range(0);
  const Floats x = filled(count);
  measure(state, static_cast<double>(count) * 4, static_cast<double>(count) * 4,
          [&] { benchmark::DoNotOptimize(sum_of_squares(x.data(), count)); });
}

void diagonal(benchmark::State& state) {
  const std::int64_t length = state.range(0), width = state.range(1);
  Floats a = filled(batch * length * width, 0.9f), b = filled(batch * length * width), h(a.size()), da(a.size()), db(a.size());
  const double count = static_cast<double>(batch * length * width);
  measure(state, count * 4 * 8, count * 6, [&] {
    diagonal_scan_forward(DiagonalScanForward<float>{a.data(), b.data(), nullptr, h.data(), nullptr, batch, length, width});
    diagonal_scan_backward(
        DiagonalScanBackward<float>{a.data(), h.data(), nullptr, b.data(), da.data(), db.data(), nullptr, batch, length, width});
  });
}

template <class T>
void gated(benchmark::State& state) {
  const std::int64_t length = state.range(0), width = state.range(1), states = 2, tokens = batch * length;
  const auto filled_with = [](std::int64_t count) {
    const Floats values = filled(count);
    return std::vector<T>(values.begin(), values.end());
  };
  const auto v = filled_with(tokens * width), gate = filled_with(tokens * states * width), b = filled_with(tokens * states);
  std::vector<T> y(v.size()), dv(v.size()), dgate(gate.size()), db(b.size()), dc(b.size());
  Floats bias(states * width), dbias(bias.size()), checkpoints(gated_scan_checkpoint_elements(batch, length, width, states));
  const double count = static_cast<double>(tokens * width);
  // Forward: gate, v, y. Backward: gate, v, dy, dgate, dv, and the decays once more.
  measure(state, count * sizeof(T) * (4 + 7), count * states * (2 * (flops_of_exp + 6) + 18), [&] {
    gated_scan_forward(GatedScanForward<T>{v.data(), gate.data(), bias.data(), b.data(), b.data(), nullptr, y.data(), nullptr,
                                           checkpoints.data(), batch, length, width, states, width, states * width, states, states, width});
    gated_scan_backward(GatedScanBackward<T>{v.data(), gate.data(), bias.data(),  b.data(),     b.data(),       checkpoints.data(),
                                             y.data(), dv.data(),   dgate.data(), dbias.data(), db.data(),      dc.data(),
                                             batch,    length,      width,        states,       width,          states * width,
                                             states,   states,      width,        width,        states * width, states,
                                             states});
  });
}

void sizes(benchmark::internal::Benchmark* b) {
  b->ArgNames({"T", "d"})->Unit(benchmark::kMillisecond);
  for (int length : {256, 512, 1024})
    for (int width : {96, 128, 256}) b->Args({length, width});
}

BENCHMARK(rms_norm)->Apply(sizes);
BENCHMARK_CAPTURE(gated_unit, silu, Gate::silu)->Apply(sizes);
BENCHMARK_CAPTURE(gated_unit, gelu, Gate::gelu)->Apply(sizes);
BENCHMARK_CAPTURE(gated_unit, relu, Gate::relu)->Apply(sizes);
BENCHMARK(short_conv)->Apply(sizes);
BENCHMARK_CAPTURE(selective_scan, forward, false)->Apply(sizes);
BENCHMARK_CAPTURE(selective_scan, both, true)->Apply(sizes);
BENCHMARK(rotary)->Apply(sizes);
BENCHMARK(cross_entropy_bytes)->ArgName("T")->Arg(256)->Arg(1024)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(attention, forward, false)->Apply(sizes);
BENCHMARK_CAPTURE(attention, both, true)->Apply(sizes);
BENCHMARK(attention_step)->Apply(sizes);
BENCHMARK_CAPTURE(matrix_recurrence, forward, MatrixDecay::none, false)->Apply(sizes);
BENCHMARK_CAPTURE(matrix_recurrence, both, MatrixDecay::none, true)->Apply(sizes);
BENCHMARK_CAPTURE(matrix_recurrence, both_per_head, MatrixDecay::per_head, true)->Apply(sizes);
BENCHMARK_CAPTURE(matrix_recurrence, both_per_channel, MatrixDecay::per_channel, true)->Apply(sizes);
BENCHMARK_CAPTURE(linear_attention, forward, false)->Apply(sizes);
BENCHMARK_CAPTURE(linear_attention, both, true)->Apply(sizes);
BENCHMARK_CAPTURE(long_convolution, forward, false)->Apply(sizes)->Args({4096, 256});
BENCHMARK_CAPTURE(long_convolution, both, true)->Apply(sizes)->Args({4096, 256});
BENCHMARK_CAPTURE(complex_scan, forward, false, false)->Apply(sizes);
BENCHMARK_CAPTURE(complex_scan, both, false, true)->Apply(sizes);
BENCHMARK_CAPTURE(complex_scan, both_liquid, true, true)->Apply(sizes);
BENCHMARK(adamw_step)->ArgName("n")->Arg(1 << 20)->Unit(benchmark::kMillisecond);
BENCHMARK(squares)->ArgName("n")->Arg(1 << 20)->Unit(benchmark::kMillisecond);
BENCHMARK(diagonal)->Apply(sizes);
BENCHMARK(gated<float>)->Apply(sizes);
BENCHMARK(gated<bfloat16>)->Apply(sizes);

}  // namespace

int main(int argc, char** argv) {
  if (const char* wanted = std::getenv("STARLING_KERNEL_LEVEL")) {
    const auto levels = supported_levels();
    force_level(levels[std::min(levels.size() - 1, static_cast<std::size_t>(std::atoi(wanted)))]);
  }
  benchmark::AddCustomContext("level", level_name(active_level()));
  benchmark::AddCustomContext("peak GFLOP/s", std::to_string(peak_flops() * 1e-9));
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
}
