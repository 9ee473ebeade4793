// `tools/bench operators` and, where a device is named, `tools/bench gpu`: forward and backward of an operator's heart, beside the same function
// in LibTorch's tensor operations, in f32 on one thread or on that device, in one run. Each reference is the best form that tensor operations allow (where several are known, all are timed and the fastest
// counts); none steps through time token by token. Both sides get the same inputs; a row whose outputs or gradients differ is an error.
#include <starling/base/error.hpp>
#include <starling/kernels/diagonal_scan.hpp>
#include <starling/kernels/matrix_recurrence.hpp>
#include <starling/operators/functions/attention.hpp>
#include <starling/operators/functions/device.hpp>
#include <starling/operators/functions/gated_scan.hpp>
#include <starling/operators/functions/linear_attention.hpp>
#include <starling/operators/functions/long_convolution.hpp>
#include <starling/operators/functions/selective_scan.hpp>
#include <starling/operators/functions/short_conv.hpp>
#include <starling/operators/functions/state_space.hpp>
#include <starling/training/device.hpp>
#include <starling/training/process.hpp>

#include <ATen/ATen.h>
#include <fmt/core.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>

#include <chrono>
#include <cmath>
#include <functional>
#include <string>
#include <vector>

namespace {

using namespace starling;
using at::Tensor;
using Tensors = std::vector<Tensor>;
using Work = std::function<Tensors()>;  ///< forward and backward: output, then the gradient of every input
using Clock = std::chrono::steady_clock;

constexpr std::int64_t batch = 4;

/// Where the rows run. Sizes are those of a small model on the CPU, of a model of 125 million parameters on a device.
at::Device device = at::kCPU;
at::TensorOptions there() { return at::TensorOptions().device(device).dtype(at::kFloat); }
std::int64_t tokens(std::int64_t on_cpu) { return device.is_cpu() ? on_cpu : 4096; }
std::int64_t width_of_model() { return device.is_cpu() ? 256 : 768; }
/// ", T 512, 4 x 64": the sizes behind a row's name.
std::string sizes(std::int64_t length, const std::string& channels) { return fmt::format(", T {}, {}", length, channels); }

struct Reference {
  std::string name;
  Work work;
};

struct Row {
  std::string name;
  double goal;
  Work ours;
  std::vector<Reference> references;
};

Tensor random(at::IntArrayRef shape, double scale = 1) { return at::randn(shape, there()).mul_(scale); }
Tensor needs_gradient(Tensor tensor) { return tensor.set_requires_grad(true); }

/// Output and gradients of a differentiable function, the gradient of its output being `dy`.
Work differentiated(Tensors inputs, Tensor dy, std::function<Tensor(const Tensors&)> function) {
  for (auto& input : inputs) input = needs_gradient(input.detach());
  return [=] {
    const auto y = function(inputs);
    auto results = torch::autograd::grad({y}, inputs, {dy});
    results.insert(results.begin(), y.detach());
    return results;
  };
}

// --- references

/// h_t = a_t h_{t−1} + b_t along dimension 1: after round r every element has absorbed the 2^r before it.
Tensor scan_by_doubling(Tensor a, Tensor b) {
  for (std::int64_t step = 1; step < b.size(1); step *= 2) {
    const auto rest = b.size(1) - step;
    b = at::cat({b.narrow(1, 0, step), at::addcmul(b.narrow(1, step, rest), a.narrow(1, step, rest), b.narrow(1, 0, rest))}, 1);
    a = at::cat({a.narrow(1, 0, step), a.narrow(1, step, rest) * a.narrow(1, 0, rest)}, 1);
  }
  return b;
}

/// The same in chunks, all chunks side by side: O(length) work in 2 √length dependent steps, with a backward pass of its own.
struct ChunkedScan : torch::autograd::Function<ChunkedScan> {
  static Tensor solve(const Tensor& a_flat, const Tensor& b) {
    constexpr std::int64_t chunk = 16;
    auto shape = b.sizes().vec();
    shape[1] /= chunk;
    shape.insert(shape.begin() + 2, chunk);
    const auto a = a_flat.reshape(shape);
    const auto h = b.reshape(shape).clone();
    for (std::int64_t t = 1; t < chunk; ++t) h.select(2, t).addcmul_(a.select(2, t), h.select(2, t - 1));
    const auto decay = a.cumprod(2);
    for (std::int64_t i = 1; i < shape[1]; ++i) h.select(1, i).addcmul_(decay.select(1, i), h.select(1, i - 1).narrow(1, chunk - 1, 1));
    return h.view(b.sizes());
  }
  static Tensor forward(torch::autograd::AutogradContext* context, const Tensor& a, const Tensor& b) {
    const at::AutoDispatchBelowADInplaceOrView below;
    auto h = solve(a, b);
    context->save_for_backward({a, h});
    return h;
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context, torch::autograd::variable_list gradients) {
    const at::AutoDispatchBelowADInplaceOrView below;
    const auto saved = context->get_saved_variables();
    const auto &a = saved[0], &h = saved[1];
    const auto rest = h.size(1) - 1;
    const auto next = at::cat({a.narrow(1, 1, rest), at::zeros_like(a.narrow(1, 0, 1))}, 1);
    const auto g = solve(next.flip(1), gradients[0].flip(1)).flip(1);
    auto da = at::zeros_like(a);
    auto after_first = da.narrow(1, 1, rest);
    at::mul_out(after_first, g.narrow(1, 1, rest), h.narrow(1, 0, rest));
    return {da, g};
  }
};

Tensor chunked_scan(const Tensor& a, const Tensor& b) { return ChunkedScan::apply(a, b); }

using Scan = Tensor (*)(Tensor, Tensor);

/// (batch, length, heads · width) → (batch, heads, length, width).
Tensor by_head(const Tensor& x, std::int64_t heads) { return x.view({x.size(0), x.size(1), heads, -1}).transpose(1, 2); }
Tensor by_token(const Tensor& x) { return x.transpose(1, 2).reshape({x.size(0), x.size(2), -1}); }

/// Rotary positions with the halves of a head paired, base 10,000 (Su et al. 2021).
Tensor rotated(const Tensor& x) {
  const auto half = x.size(3) / 2;
  const auto frequencies = at::pow(10'000.0, at::arange(half, there()).mul(-1.0 / static_cast<double>(half)));
  const auto angles = at::outer(at::arange(x.size(2), there()), frequencies);
  const auto cosine = angles.cos(), sine = angles.sin();
  const auto first = x.narrow(3, 0, half), second = x.narrow(3, half, half);
  return at::cat({first * cosine - second * sine, first * sine + second * cosine}, 3);
}

Tensor naive_attention(const Tensors& in, std::int64_t heads) {
  const auto q = rotated(by_head(in[0], heads)), k = rotated(by_head(in[1], heads)), v = by_head(in[2], heads);
  const auto length = q.size(2);
  const auto hidden = at::ones({length, length}, there().dtype(at::kBool)).triu_(1);
  const auto scores = at::matmul(q, k.transpose(2, 3)) * (1 / std::sqrt(static_cast<double>(q.size(3))));
  return by_token(at::matmul(scores.masked_fill(hidden, -INFINITY).softmax(-1), v));
}

/// In chunks: within a chunk the causal products of q and k, between chunks the states, all chunks side by side. log_decay: (batch, length,
/// heads, 1 or width of a head), or undefined for none.
Tensor chunked_recurrence(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& log_decay, std::int64_t chunk) {
  const auto split = [&](const Tensor& x) { return x.reshape({x.size(0), x.size(1), x.size(2) / chunk, chunk, x.size(3)}); };
  const auto causal = at::ones({chunk, chunk}, there()).tril_();
  const auto qs = split(q), ks = split(k), vs = split(v);
  if (!log_decay.defined()) {
    const auto within = at::matmul(at::matmul(qs, ks.transpose(3, 4)) * causal, vs);
    const auto states = at::matmul(ks.transpose(3, 4), vs).cumsum(2);
    const auto before = at::constant_pad_nd(states.narrow(2, 0, states.size(2) - 1), {0, 0, 0, 0, 1, 0});
    return (within + at::matmul(qs, before)).reshape(v.sizes());
  }
  // Decays factored out of the products: the fastest form, and exact only while a chunk decays by less than f32 holds.
  const auto sums = split(log_decay).cumsum(3);
  const auto whole = sums.narrow(3, chunk - 1, 1);
  const auto decayed_q = qs * sums.exp();
  const auto within = at::matmul(at::matmul(decayed_q, (ks * (-sums).exp()).transpose(3, 4)) * causal, vs);
  const auto added = at::matmul((ks * (whole - sums).exp()).transpose(3, 4), vs);
  const auto kept = whole.exp().transpose(3, 4);
  Tensors before{at::zeros_like(added.select(2, 0))};
  for (std::int64_t i = 0; i + 1 < added.size(2); ++i) before.push_back(before.back() * kept.select(2, i) + added.select(2, i));
  return (within + at::matmul(decayed_q, at::stack(before, 2))).reshape(v.sizes());
}

Tensor normalised_linear_attention(const Tensors& in, std::int64_t heads, std::int64_t chunk) {
  const auto q = at::elu(by_head(in[0], heads)) + 1, k = at::elu(by_head(in[1], heads)) + 1, v = by_head(in[2], heads);
  const auto sums = chunked_recurrence(q, k, at::constant_pad_nd(v, {0, 1}, 1), {}, chunk);
  const auto width = v.size(3);
  return by_token(sums.narrow(3, 0, width) / sums.narrow(3, width, 1));
}

Tensor fft_convolution(const Tensor& kernel, const Tensor& x) {
  const auto length = x.size(1);
  const auto spectrum = at::fft_rfft(kernel, 2 * length, 0) * at::fft_rfft(x, 2 * length, 1);
  return at::fft_irfft(spectrum, 2 * length, 1).narrow(1, 0, length);
}

/// The same form with chunks of several lengths.
std::vector<Reference> in_chunks(const std::function<Work(std::int64_t)>& of_length) {
  std::vector<Reference> references;
  for (const std::int64_t chunk : {32, 64, 128}) references.push_back({fmt::format("chunks of {}", chunk), of_length(chunk)});
  return references;
}

// --- rows

Row diagonal_scan() {
  const std::int64_t length = tokens(512), channels = width_of_model();
  const auto a = at::rand({batch, length, channels}, there()), b = random({batch, length, channels}),
             dh = random({batch, length, channels});
  const auto ours = [=]() -> Tensors {
    auto h = at::empty_like(b), da = at::empty_like(a), db = at::empty_like(b);
    operators::run_kernel(a, kernels::DiagonalScanForward<float>{.a = a.data_ptr<float>(),
                                                                 .b = b.data_ptr<float>(),
                                                                 .h = h.data_ptr<float>(),
                                                                 .batch = batch,
                                                                 .length = length,
                                                                 .channels = channels});
    operators::run_kernel(a, kernels::DiagonalScanBackward<float>{.a = a.data_ptr<float>(),
                                                                  .h = h.data_ptr<float>(),
                                                                  .dh = dh.data_ptr<float>(),
                                                                  .da = da.data_ptr<float>(),
                                                                  .db = db.data_ptr<float>(),
                                                                  .batch = batch,
                                                                  .length = length,
                                                                  .channels = channels});
    return {h, da, db};
  };
  return {"diagonal scan" + sizes(length, fmt::format("{} channels", channels)),
          20,
          ours,
          {{"log-depth doubling", differentiated({a, b}, dh, [=](const Tensors& in) { return scan_by_doubling(in[0], in[1]); })}}};
}

Row selective_scan() {
  const std::int64_t length = tokens(512), width = width_of_model(), states = 16;
  const Tensors inputs{random({batch, length, width}),
                       random({batch, length, width}),
                       random({width}, 0.5),
                       at::arange(1, states + 1, there()).log().repeat({width, 1}),
                       random({batch, length, states}),
                       random({batch, length, states}),
                       random({width}),
                       random({batch, length, width})};
  const auto reference = [=](Tensor (*scan)(const Tensor&, const Tensor&)) {
    return [=](const Tensors& in) {
      const auto delta = at::softplus(in[1] + in[2]).unsqueeze(3);
      const auto a = at::exp(delta * -in[3].exp());
      const auto b = delta * in[0].unsqueeze(3) * in[4].unsqueeze(2);
      const auto mixed = at::matmul(scan(a, b), in[5].unsqueeze(3)).squeeze(3);
      return (mixed + in[6] * in[0]) * at::silu(in[7]);
    };
  };
  const auto dy = random({batch, length, width});
  const auto by_doubling = [](const Tensor& a, const Tensor& b) { return scan_by_doubling(a, b); };
  return {"selective scan" + sizes(length, fmt::format("{} x {} states", width, states)),
          10,
          differentiated(inputs, dy,
                         [=](const Tensors& in) {
                           return operators::selective_scan({in[0], in[1], in[2], in[3], in[4], in[5], in[6], in[7]});
                         }),
          {{"chunks of 16", differentiated(inputs, dy, reference(chunked_scan))},
           {"log-depth doubling", differentiated(inputs, dy, reference(by_doubling))}}};
}

Row gated_scan() {
  const std::int64_t length = tokens(512), width = width_of_model(), states = 2;
  const Tensors inputs{random({batch, length, width}), random({batch, length, states * width}), random({states * width}),
                       random({batch, length, states}), random({batch, length, states})};
  const auto reference = [=](Tensor (*scan)(const Tensor&, const Tensor&)) {
    return [=](const Tensors& in) {
      const auto a = at::sigmoid(in[1] + in[2]).view({batch, length, states, width});
      const auto h = scan(a, (1 - a) * in[3].unsqueeze(3) * in[0].unsqueeze(2));
      return (in[4].unsqueeze(3) * h).sum(2);
    };
  };
  const auto dy = random({batch, length, width});
  const auto by_doubling = [](const Tensor& a, const Tensor& b) { return scan_by_doubling(a, b); };
  return {"gated scan (Rec-2)" + sizes(length, fmt::format("{} x {} states", width, states)),
          0,
          differentiated(inputs, dy,
                         [=](const Tensors& in) {
                           return operators::gated_scan({in[0], in[1], in[2], in[3], in[4]});
                         }),
          {{"chunks of 16", differentiated(inputs, dy, reference(chunked_scan))},
           {"log-depth doubling", differentiated(inputs, dy, reference(by_doubling))}}};
}

Row linear_attention() {
  const std::int64_t length = tokens(512), width = width_of_model(), heads = width / 64;
  const Tensors inputs{random({batch, length, width}), random({batch, length, width}), random({batch, length, width})};
  const auto dy = random({batch, length, width});
  return {"linear attention (SA-2)" + sizes(length, fmt::format("{} x 64", heads)), 3,
          differentiated(inputs, dy, [=](const Tensors& in) { return operators::linear_attention(in[0], in[1], in[2], heads); }),
          in_chunks([&](std::int64_t chunk) {
            return differentiated(inputs, dy, [=](const Tensors& in) { return normalised_linear_attention(in, heads, chunk); });
          })};
}

Row matrix_recurrence(kernels::MatrixDecay decay) {
  const std::int64_t length = tokens(512), heads = width_of_model() / 64, width = 64;
  const bool per_channel = decay == kernels::MatrixDecay::per_channel;
  const auto log_decay = at::rand({batch, length, heads, per_channel ? width : 1}, there()).mul_(-0.1);
  const auto q = random({batch, length, heads, width}), k = random({batch, length, heads, width}),
             v = random({batch, length, heads, width});
  const auto dy = random({batch, length, heads, width});
  const auto ours = [=]() -> Tensors {
    auto y = at::empty_like(v), dq = at::empty_like(q), dk = at::empty_like(k), dv = at::empty_like(v), dg = at::empty_like(log_decay);
    const auto strides = kernels::contiguous_heads(length, heads, width);
    const auto decay_strides = kernels::contiguous_heads(length, heads, per_channel ? width : 1);
    kernels::MatrixRecurrenceForward<float> forward;
    const auto describe = [&](auto& arguments) {
      arguments.q = q.data_ptr<float>();
      arguments.k = k.data_ptr<float>();
      arguments.v = v.data_ptr<float>();
      arguments.log_decay = log_decay.data_ptr<float>();
      arguments.q_strides = arguments.k_strides = arguments.v_strides = strides;
      arguments.log_decay_strides = decay_strides;
      arguments.batch = batch;
      arguments.length = length;
      arguments.heads = heads;
      arguments.key_width = arguments.value_width = width;
      arguments.decay = decay;
    };
    describe(forward);
    forward.y = y.data_ptr<float>();
    forward.y_strides = strides;
    operators::run_kernel(v, forward);
    kernels::MatrixRecurrenceBackward<float> backward;
    describe(backward);
    backward.dy = dy.data_ptr<float>();
    backward.dq = dq.data_ptr<float>();
    backward.dk = dk.data_ptr<float>();
    backward.dv = dv.data_ptr<float>();
    backward.dlog_decay = dg.data_ptr<float>();
    backward.dy_strides = backward.dq_strides = backward.dk_strides = backward.dv_strides = strides;
    backward.dlog_decay_strides = decay_strides;
    operators::run_kernel(v, backward);
    return {y, dq, dk, dv, dg};
  };
  const auto reference = [=](const Tensors& in, std::int64_t chunk) {
    const auto heads_first = [](const Tensor& x) { return x.transpose(1, 2); };
    return chunked_recurrence(heads_first(in[0]), heads_first(in[1]), heads_first(in[2]), heads_first(in[3]), chunk).transpose(1, 2);
  };
  return {std::string("matrix recurrence, decay per ") + (per_channel ? "channel" : "head") + fmt::format(", {} x 64", heads), 3, ours,
          in_chunks([&](std::int64_t chunk) {
            return differentiated({q, k, v, log_decay}, dy, [=](const Tensors& in) { return reference(in, chunk); });
          })};
}

Row attention() {
  const std::int64_t length = tokens(1024), width = width_of_model(), heads = width / 64;
  const Tensors inputs{random({batch, length, width}), random({batch, length, width}), random({batch, length, width})};
  const auto dy = random({batch, length, width});
  return {"softmax attention" + sizes(length, fmt::format("{} x 64", heads)),
          2,
          differentiated(inputs, dy,
                         [=](const Tensors& in) {
                           return operators::attention(in[0], in[1], in[2], {heads, heads, heads}, {}, true).y;
                         }),
          {{"T x T matrix", differentiated(inputs, dy, [=](const Tensors& in) { return naive_attention(in, heads); })}}};
}

Row hyena_convolution() {
  const std::int64_t length = tokens(1024), width = width_of_model();
  const Tensors inputs{random({batch, length, width}), random({batch, length, width}), random({batch, length, width}),
                       random({length, width}, 1 / std::sqrt(length))};
  const auto dy = random({batch, length, width});
  return {"long convolution (Hyena)" + sizes(length, std::to_string(width)),
          1.5,
          differentiated(inputs, dy, [=](const Tensors& in) { return operators::gated_long_conv(in[0], in[1], in[2], in[3]); }),
          {{"FFT", differentiated(inputs, dy, [=](const Tensors& in) { return in[1] * fft_convolution(in[3], in[0] * in[2]); })}}};
}

/// S4D: the reference makes the kernel from a Vandermonde matrix, as published, or is given it (then only u has a gradient to
/// compare, and all that the weights need is work of one side alone).
Row state_space(bool kernel_given) {
  const std::int64_t length = tokens(1024), width = width_of_model(), pairs = 32;
  const auto turns = (at::arange(pairs, there()).unsqueeze(1) * std::acos(-1.0)).expand({pairs, width}).contiguous();
  const auto u = random({batch, length, width});
  const Tensors weights{at::full({pairs, width}, std::log(0.5), there()),
                        turns,
                        at::rand({width}, there()) * std::log(100.0) + std::log(1e-3),
                        random({2 * pairs, width}),
                        random({2 * pairs, width}),
                        random({width})};
  const auto dy = random({batch, length, width});
  const auto kernel = [=](const Tensors& w) {
    const auto complex = [=](const Tensor& both) {
      return at::complex(both.narrow(0, 0, pairs), both.narrow(0, pairs, pairs)).transpose(0, 1);
    };
    const auto a = at::complex(-at::exp(w[0]), w[1]).transpose(0, 1);
    const auto exponent = a * at::exp(w[2]).unsqueeze(1);
    const auto weight = complex(w[3]) * complex(w[4]) * (at::exp(exponent) - 1) / a;
    const auto powers = at::exp(exponent.unsqueeze(2) * at::arange(length, there()));
    return (at::real(weight.unsqueeze(1).matmul(powers).squeeze(1)) * 2).transpose(0, 1);
  };
  const auto ours = [](const Tensor& x, const Tensors& w) {
    return operators::state_space(x, {w[0], w[1], w[2], w[3], w[4], w[5], Tensor()});
  };
  if (kernel_given) {
    const auto given = kernel(weights).contiguous();
    return {"state space (S4D)" + sizes(length, std::to_string(width) + "; kernel given"),
            1.5,
            differentiated({u}, dy, [=](const Tensors& in) { return ours(in[0], weights); }),
            {{"FFT", differentiated({u}, dy, [=](const Tensors& in) { return fft_convolution(given, in[0]) + weights[5] * in[0]; })}}};
  }
  Tensors inputs = weights;
  inputs.push_back(u);
  return {"state space (S4D)" + sizes(length, std::to_string(width)),
          1.5,
          differentiated(inputs, dy, [=](const Tensors& in) { return ours(in[6], in); }),
          {{"Vandermonde, FFT",
            differentiated(inputs, dy, [=](const Tensors& in) { return fft_convolution(kernel(in), in[6]) + in[5] * in[6]; })}}};
}

Row short_convolution() {
  const std::int64_t length = tokens(1024), width = width_of_model(), taps = 3;
  const Tensors inputs{random({batch, length, width}), random({batch, length, width}), random({batch, length, width}),
                       random({width, taps})};
  const auto dy = random({batch, length, width});
  const auto conv1d = [=](const Tensors& in) {
    const auto x = at::constant_pad_nd((in[0] * in[2]).transpose(1, 2), {taps - 1, 0});
    return in[1] *
           at::conv1d(x, in[3].unsqueeze(1), Tensor(), at::IntArrayRef{1}, at::IntArrayRef{0}, at::IntArrayRef{1}, width).transpose(1, 2);
  };
  const auto shifted = [=](const Tensors& in) {
    const auto x = at::constant_pad_nd(in[0] * in[2], {0, 0, taps - 1, 0});
    Tensor y = x.narrow(1, 0, length) * in[3].select(1, 0);
    for (std::int64_t tap = 1; tap < taps; ++tap) y = at::addcmul(y, x.narrow(1, tap, length), in[3].select(1, tap));
    return in[1] * y;
  };
  return {"gated short convolution" + sizes(length, std::to_string(width)),
          0,
          differentiated(inputs, dy, [=](const Tensors& in) { return operators::gated_conv(in[0], in[1], in[2], in[3]); }),
          {{"conv1d", differentiated(inputs, dy, conv1d)}, {"shifted sums", differentiated(inputs, dy, shifted)}}};
}

// --- measuring

double seconds(const Work& work) {
  const auto begun = Clock::now();
  work();
  training::finish(device);
  return std::chrono::duration<double>(Clock::now() - begun).count();
}

/// Largest difference of an output or gradient, in units of that tensor's root mean square.
double difference(const Tensors& ours, const Tensors& theirs) {
  double largest = 0;
  for (std::size_t i = 0; i < ours.size(); ++i) {
    const auto scale = theirs[i].square().mean().sqrt().item<double>();
    largest = std::max(largest, (ours[i] - theirs[i].reshape(ours[i].sizes())).abs().max().item<double>() / scale);
  }
  return largest;
}

/// Best of the rounds, the sides taking turns.
bool measure(const Row& row, int rounds) {
  const auto result = row.ours();
  double worst = 0;
  for (const auto& reference : row.references) worst = std::max(worst, difference(result, reference.work()));
  double ours = INFINITY;
  std::vector<double> theirs(row.references.size(), INFINITY);
  for (int round = 0; round < rounds; ++round) {
    ours = std::min(ours, seconds(row.ours));
    for (std::size_t i = 0; i < theirs.size(); ++i) theirs[i] = std::min(theirs[i], seconds(row.references[i].work));
  }
  const auto best = static_cast<std::size_t>(std::min_element(theirs.begin(), theirs.end()) - theirs.begin());
  const bool agree = worst < 1e-2;
  fmt::print("{:<45} {:>8.2f} {:>9.2f}   {:<19} ratio {:.2f}x{}{}\n", row.name, 1e3 * ours, 1e3 * theirs[best], row.references[best].name,
             theirs[best] / ours, row.goal > 0 && device.is_cpu() ? fmt::format("  goal {}x", row.goal) : "",
             agree ? "" : fmt::format("  DIFFERENT RESULTS ({:.1e})", worst));
  std::fflush(stdout);
  return agree;
}

}  // namespace

int main(int count, char** arguments) {
  training::tune_process(1);
  const int rounds = count > 1 ? std::max(1, std::atoi(arguments[1])) : 10;
  if (count > 2) {
    try {
      device = training::device_named(arguments[2]);
    } catch (const UserError& error) {
      fmt::print(stderr, "{}\n", error.what());
      return 2;
    }
  }
  at::manual_seed(1);
  fmt::print("{:<45} {:>8} {:>9}\n", "forward + backward, ms", "starling", "tensor op");
  bool agree = true;
  for (const auto& make : std::vector<std::function<Row()>>{
           diagonal_scan, selective_scan, gated_scan, linear_attention, [] { return matrix_recurrence(kernels::MatrixDecay::per_head); },
           [] { return matrix_recurrence(kernels::MatrixDecay::per_channel); }, attention, hyena_convolution,
           [] { return state_space(false); }, [] { return state_space(true); }, short_convolution}) {
    agree = measure(make(), rounds) && agree;
  }
  return agree ? 0 : 1;
}
