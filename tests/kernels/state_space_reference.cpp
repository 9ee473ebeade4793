// References of the complex state space, from the formulas in complex arithmetic. The gradient of a complex number is that of
// its real part plus i times that of its imaginary part.
#include "reference.hpp"

#include <cmath>
#include <complex>
#include <vector>

namespace starling::kernels::reference {
namespace {

using Index = std::int64_t;
using Complex = std::complex<double>;

template <class Arguments>
Complex get(const Arguments& a, const double* array, Index pair, Index c) {
  return {array[pair * a.width + c], array[(a.pairs + pair) * a.width + c]};
}

template <class Arguments>
void put(const Arguments& a, double* array, Index pair, Index c, Complex value) {
  array[pair * a.width + c] = value.real();
  array[(a.pairs + pair) * a.width + c] = value.imag();
}

/// (e^(Δ A) − 1) / A, by the power series where A is small.
Complex hold(Complex a, double step) {
  if (std::abs(step * a) > 0.1) return (std::exp(step * a) - 1.0) / a;
  Complex sum = 0, term = step;
  for (int k = 2; k < 20; ++k) {
    sum += term;
    term *= step * a / static_cast<double>(k);
  }
  return sum;
}

Complex liquid_gain(Complex liquid) { return liquid / std::sqrt(1 + std::norm(liquid)); }

/// a_t of the recurrence.
template <class Arguments>
Complex decay_at(const Arguments& a, Index pair, Index c, double u) {
  const Complex decay = get(a, a.decay, pair, c);
  return a.leak ? decay + get(a, a.leak, pair, c) * std::tanh(u) : decay;
}

}  // namespace

void run(const Discretise<double>& a) {
  for (Index n = 0; n < a.pairs; ++n)
    for (Index c = 0; c < a.width; ++c) {
      const Complex pole(-std::exp(a.a_log[n * a.width + c]), a.a_imaginary[n * a.width + c]);
      const double step = std::exp(a.log_step[c]);
      const Complex decay = std::exp(step * pole);
      put(a, a.decay, n, c, decay);
      put(a, a.weight, n, c, 2.0 * get(a, a.b, n, c) * get(a, a.c, n, c) * hold(pole, step));
      if (a.liquid) put(a, a.leak, n, c, (1 - std::abs(decay)) * liquid_gain(get(a, a.liquid, n, c)));
    }
}

// By differences of fourth order, channel by channel: the derivatives of the closed form, which the fast one uses, are what is
// under test.
void run(const DiscretiseBackward<double>& a) {
  const auto planes = [&](Index count, Index c, auto&& visit) {
    for (Index i = 0; i < count * a.pairs; ++i) visit(static_cast<std::size_t>(i), i * a.width + c);
  };
  for (Index c = 0; c < a.width; ++c) {
    const auto column = [&](const double* from, Index count) {
      std::vector<double> values(from ? static_cast<std::size_t>(count * a.pairs) : 0);
      if (from) planes(count, c, [&](std::size_t i, Index at) { values[i] = from[at]; });
      return values;
    };
    auto a_log = column(a.a_log, 1), a_imaginary = column(a.a_imaginary, 1), b = column(a.b, 2), gain = column(a.c, 2),
         liquid = column(a.liquid, 2);
    std::vector<double> log_step{a.log_step[c]};
    const auto ddecay = column(a.ddecay, 2), dweight = column(a.dweight, 2), dleak = column(a.dleak, 2);
    std::vector<double> decay(b.size()), weight(b.size()), leak(liquid.size());
    const auto objective = [&] {
      run(Discretise<double>{.a_log = a_log.data(),
                             .a_imaginary = a_imaginary.data(),
                             .log_step = log_step.data(),
                             .b = b.data(),
                             .c = gain.data(),
                             .liquid = a.liquid ? liquid.data() : nullptr,
                             .decay = decay.data(),
                             .weight = weight.data(),
                             .leak = a.liquid ? leak.data() : nullptr,
                             .pairs = a.pairs,
                             .width = 1});
      double total = 0;
      for (std::size_t i = 0; i < decay.size(); ++i) total += ddecay[i] * decay[i] + dweight[i] * weight[i];
      for (std::size_t i = 0; i < leak.size(); ++i) total += dleak[i] * leak[i];
      return total;
    };
    const auto derivative = [&](double& value) {
      constexpr double distance = 1e-3;
      const double kept = value;
      const auto span = [&](double d) {
        value = kept + d;
        const double above = objective();
        value = kept - d;
        return above - objective();
      };
      const double slope = (8 * span(distance) - span(2 * distance)) / (12 * distance);
      value = kept;
      return slope;
    };
    planes(1, c, [&](std::size_t i, Index at) {
      a.da_log[at] = derivative(a_log[i]);
      a.da_imaginary[at] = derivative(a_imaginary[i]);
    });
    planes(2, c, [&](std::size_t i, Index at) {
      a.db[at] = derivative(b[i]);
      a.dc[at] = derivative(gain[i]);
      if (a.liquid) a.dliquid[at] = derivative(liquid[i]);
    });
    a.dlog_step[c] = derivative(log_step[0]);
  }
}

void run(const ComplexScanForward<double>& a) {
  const Index plane = 2 * a.pairs * a.width;
  const Index chunks = (a.length + complex_scan_chunk - 1) / complex_scan_chunk;
  for (Index b = 0; b < a.batch; ++b)
    for (Index c = 0; c < a.width; ++c) {
      for (Index t = 0; t < a.length; ++t) {
        const Index token = b * a.length + t;
        a.y[token * a.y_stride + c] = a.skip[c] * a.u[token * a.u_stride + c];
      }
      for (Index n = 0; n < a.pairs; ++n) {
        Complex s = a.initial ? get(a, a.initial + b * plane, n, c) : 0;
        for (Index t = 0; t < a.length; ++t) {
          if (a.checkpoints && t % complex_scan_chunk == 0) put(a, a.checkpoints + (b * chunks + t / complex_scan_chunk) * plane, n, c, s);
          const Index token = b * a.length + t;
          const double u = a.u[token * a.u_stride + c];
          s = decay_at(a, n, c, u) * s + u;
          a.y[token * a.y_stride + c] += (get(a, a.weight, n, c) * s).real();
        }
        if (a.final) put(a, a.final + b * plane, n, c, s);
      }
    }
}

void run(const ComplexScanBackward<double>& a) {
  const Index plane = 2 * a.pairs * a.width;
  const Index chunks = (a.length + complex_scan_chunk - 1) / complex_scan_chunk;
  for (Index c = 0; c < a.width; ++c) {
    a.dskip[c] = 0;
    for (Index n = 0; n < a.pairs; ++n) {
      put(a, a.ddecay, n, c, 0);
      put(a, a.dweight, n, c, 0);
      if (a.leak) put(a, a.dleak, n, c, 0);
    }
    for (Index b = 0; b < a.batch; ++b) {
      const auto u = [&](Index t) { return a.u[(b * a.length + t) * a.u_stride + c]; };
      const auto dy = [&](Index t) { return a.dy[(b * a.length + t) * a.dy_stride + c]; };
      const auto du = [&](Index t) -> double& { return a.du[(b * a.length + t) * a.du_stride + c]; };
      for (Index t = 0; t < a.length; ++t) {
        du(t) = a.skip[c] * dy(t);
        a.dskip[c] += u(t) * dy(t);
      }
      for (Index n = 0; n < a.pairs; ++n) {
        std::vector<Complex> s(static_cast<std::size_t>(a.length) + 1);
        s[0] = get(a, a.checkpoints + b * chunks * plane, n, c);
        for (Index t = 0; t < a.length; ++t) s[t + 1] = decay_at(a, n, c, u(t)) * s[t] + u(t);
        Complex flow = 0, ddecay = get(a, a.ddecay, n, c), dweight = get(a, a.dweight, n, c), dleak = a.leak ? get(a, a.dleak, n, c) : 0;
        for (Index t = a.length - 1; t >= 0; --t) {
          dweight += std::conj(s[t + 1]) * dy(t);
          const Complex g = std::conj(get(a, a.weight, n, c)) * dy(t) + flow;
          const Complex da = std::conj(s[t]) * g;
          ddecay += da;
          du(t) += g.real();
          if (a.leak) {
            const double bend = std::tanh(u(t));
            dleak += bend * da;
            du(t) += (1 - bend * bend) * (std::conj(get(a, a.leak, n, c)) * da).real();
          }
          flow = std::conj(decay_at(a, n, c, u(t))) * g;
        }
        put(a, a.ddecay, n, c, ddecay);
        put(a, a.dweight, n, c, dweight);
        if (a.leak) put(a, a.dleak, n, c, dleak);
      }
    }
  }
}

}  // namespace starling::kernels::reference
