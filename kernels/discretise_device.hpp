// Zero-order hold on a device: a thread for a pair of a channel; backwards eight threads share the pairs of a channel, and what they
// find for its step is summed in order. In double like the contract; some 10^4 pairs a layer, so launching is what it costs.
#pragma once

#include <starling/kernels/device_complex.hpp>
#include <starling/kernels/discretise.hpp>

namespace starling::kernels::device {

/// φ(z) = (e^z − 1) / z and its derivative.
struct Hold {
  Complex<double> value;
  Complex<double> slope;
};
STARLING_DEVICE inline Hold hold_of(Complex<double> z, Complex<double> exponential_of_z) {
  if (!(squared_modulus(z) < 0.01)) {
    const auto value = (exponential_of_z - Complex<double>{1, 0}) / z;
    return {value, (exponential_of_z - value) / z};
  }
  // The power series where the quotient would cancel; |z|^9 / 10! is below rounding there.
  Hold hold{};
  double inverse_factorial = 1.0 / 3628800.0;
  for (int k = 9; k >= 0; --k) {
    hold.slope = hold.slope * z + hold.value;
    hold.value = hold.value * z + Complex<double>{inverse_factorial, 0};
    inverse_factorial *= k + 1;
  }
  return hold;
}

struct HeldPair {
  double growth;  ///< exp(a_log), −Re A
  Complex<double> a;
  Complex<double> decay;
  double modulus;  ///< of the decay
  Hold hold;       ///< of Δ A
};
template <class Arguments>
STARLING_DEVICE HeldPair held_pair(const Arguments& a, const PairPlace& at, double step) {
  HeldPair pair;
  pair.growth = exponential(double(a.a_log[at.real]));
  pair.a = {-pair.growth, double(a.a_imaginary[at.real])};
  const Complex<double> exponent = step * pair.a;
  pair.modulus = exponential(exponent.re);
  pair.decay = {pair.modulus * cosine(exponent.im), pair.modulus * sine(exponent.im)};
  pair.hold = hold_of(exponent, pair.decay);
  return pair;
}

/// √(1 + |liquid|²)⁻¹, what makes a number of the unit disc out of any.
STARLING_DEVICE inline double shrinkage(Complex<double> liquid) { return 1 / square_root(squared_modulus(liquid) + 1); }

template <class T>
struct DiscretisePairs {
  Discretise<T> a;

  static constexpr int threads = 128;
  Index blocks() const { return quotient_up(a.pairs * a.width, threads); }
  static constexpr std::size_t shared_bytes() { return 0; }

  STARLING_DEVICE void operator()(Block& block) const {
    if (block.item() >= a.pairs * a.width) return;
    const Index channel = block.item() % a.width;
    const auto at = PairPlace::of(block.item() / a.width, channel, a.pairs, a.width);
    const double step = exponential(double(a.log_step[channel]));
    const HeldPair pair = held_pair(a, at, step);
    put(a.decay, at, pair.decay);
    put(a.weight, at, 2 * step * (get<double>(a.b, at) * get<double>(a.c, at) * pair.hold.value));
    if (!a.liquid) return;
    const auto liquid = get<double>(a.liquid, at);
    put(a.leak, at, (1 - pair.modulus) * shrinkage(liquid) * liquid);
  }
};

template <class T>
struct DiscretisePairsBackward {
  DiscretiseBackward<T> a;

  static constexpr int lines = 8;  // that share the pairs of a channel
  static constexpr int threads = warp * lines;
  Index blocks() const { return quotient_up(a.width, warp); }
  static constexpr std::size_t shared_bytes() { return threads * sizeof(double); }

  /// Writes the gradients of one pair; what it adds to that of the step (not of its logarithm).
  STARLING_DEVICE double pair_backwards(const PairPlace& at, double step) const {
    const HeldPair pair = held_pair(a, at, step);
    const auto b = get<double>(a.b, at), gain = get<double>(a.c, at);
    const auto dweight = 2.0 * get<double>(a.dweight, at);
    const auto held = step * (conjugate(pair.hold.value) * dweight);
    put(a.db, at, conjugate(gain) * held);
    put(a.dc, at, conjugate(b) * held);
    const auto dhold = conjugate(b * gain) * dweight;  // of Δ φ
    auto dz = conjugate(pair.decay) * get<double>(a.ddecay, at) + step * (conjugate(pair.hold.slope) * dhold);
    if (a.liquid) {
      const auto liquid = get<double>(a.liquid, at), dleak = get<double>(a.dleak, at);
      const double shrunk = shrinkage(liquid), room = 1 - pair.modulus;
      const double along = (conjugate(liquid) * dleak).re;
      put(a.dliquid, at, room * shrunk * dleak - room * shrunk * shrunk * shrunk * along * liquid);
      dz.re -= pair.modulus * shrunk * along;
    }
    a.da_log[at.real] = T(-pair.growth * step * dz.re);
    a.da_imaginary[at.real] = T(step * dz.im);
    return (conjugate(pair.hold.value) * dhold).re + (conjugate(pair.a) * dz).re;
  }

  STARLING_DEVICE void operator()(Block& block) const {
    double* const sums = reinterpret_cast<double*>(block.shared);
    const Index channel = block.index * warp + block.lane();
    double step = 0, dstep = 0;
    if (channel < a.width) {
      step = exponential(double(a.log_step[channel]));
      for (Index pair = block.thread / warp; pair < a.pairs; pair += lines)
        dstep += pair_backwards(PairPlace::of(pair, channel, a.pairs, a.width), step);
    }
    sums[block.thread] = dstep;
    block.wait();
    if (block.thread >= warp || channel >= a.width) return;
    for (int line = 1; line < lines; ++line) dstep += sums[line * warp + block.thread];
    a.dlog_step[channel] = T(step * dstep);
  }
};

}  // namespace starling::kernels::device

namespace starling::kernels {

template <class T, class Launcher>
void launch_all(const Discretise<T>& a, Launcher& launcher) {
  launcher.launch(device::DiscretisePairs<T>{a});
}
template <class T, class Launcher>
void launch_all(const DiscretiseBackward<T>& a, Launcher& launcher) {
  launcher.launch(device::DiscretisePairsBackward<T>{a});
}

}  // namespace starling::kernels
