#include <starling/kernels/discretise.hpp>

#include <starling/kernels/elementary.hpp>

namespace starling::kernels {
namespace {

using Real = Pack<double>;
constexpr std::int64_t block = lanes<double>;

struct Complex {
  Real re;
  Real im;
};

[[gnu::always_inline]] inline Complex operator+(Complex a, Complex b) { return {a.re + b.re, a.im + b.im}; }
[[gnu::always_inline]] inline Complex operator-(Complex a, Complex b) { return {a.re - b.re, a.im - b.im}; }
[[gnu::always_inline]] inline Complex operator*(Complex a, Complex b) { return {a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re}; }
[[gnu::always_inline]] inline Complex operator*(Real a, Complex b) { return {a * b.re, a * b.im}; }
[[gnu::always_inline]] inline Complex operator*(double a, Complex b) { return splat(a) * b; }
[[gnu::always_inline]] inline Complex conjugate(Complex a) { return {a.re, -a.im}; }
[[gnu::always_inline]] inline Real squared_modulus(Complex a) { return a.re * a.re + a.im * a.im; }
[[gnu::always_inline]] inline Complex operator/(Complex a, Complex b) { return (1.0 / squared_modulus(b)) * (a * conjugate(b)); }

template <class T>
[[gnu::always_inline]] inline Real load_wide(const T* from, std::int64_t count) {
  double values[block] = {};
  for (std::int64_t i = 0; i < smaller(count, block); ++i) values[i] = from[i];
  return load(values);
}

template <class T>
[[gnu::always_inline]] inline void store_narrow(T* to, Real pack, std::int64_t count) {
  for (std::int64_t i = 0; i < smaller(count, block); ++i) to[i] = static_cast<T>(pack[i]);
}

/// Where a pair of a block of channels stands in an array with one plane, and in those with two.
struct Place {
  std::int64_t real;
  std::int64_t imaginary;
  std::int64_t channels;
};

template <class Arguments>
[[gnu::always_inline]] inline Place place_of(const Arguments& a, std::int64_t pair, std::int64_t c) {
  return {pair * a.width + c, (a.pairs + pair) * a.width + c, a.width - c};
}

template <class T>
[[gnu::always_inline]] inline Complex load_wide(const T* from, const Place& at) {
  return {load_wide(from + at.real, at.channels), load_wide(from + at.imaginary, at.channels)};
}

template <class T>
[[gnu::always_inline]] inline void store_narrow(T* to, const Place& at, Complex value) {
  store_narrow(to + at.real, value.re, at.channels);
  store_narrow(to + at.imaginary, value.im, at.channels);
}

/// φ(z) = (e^z − 1) / z and its derivative, given e^z.
struct Hold {
  Complex value;
  Complex slope;
};

[[gnu::always_inline]] inline Complex choose(PackBits<double> condition, Complex a, Complex b) {
  return {select<double>(condition, a.re, b.re), select<double>(condition, a.im, b.im)};
}

[[gnu::always_inline]] inline Hold hold_of(Complex z, Complex exponential_of_z) {
  // The power series where the quotient would cancel; |z|^9 / 10! is below rounding there.
  constexpr int terms = 9;
  Complex value{Real{}, Real{}};
  Complex slope{Real{}, Real{}};
  double inverse_factorial = 1.0 / 3628800.0;
  for (int k = terms; k >= 0; --k) {
    slope = slope * z + value;
    value = value * z + Complex{splat(inverse_factorial), Real{}};
    inverse_factorial *= k + 1;
  }
  const auto small = squared_modulus(z) < splat(0.01);
  // Lanes that take the series must not divide by 0.
  const Complex divisor = choose(small, {splat(1.0), Real{}}, z);
  const Complex quotient = (exponential_of_z - Complex{splat(1.0), Real{}}) / divisor;
  const Complex quotient_slope = (exponential_of_z - quotient) / divisor;
  return {choose(small, value, quotient), choose(small, slope, quotient_slope)};
}

/// One pair of states of a block of channels.
struct Pair {
  Real growth;  ///< exp(a_log), −Re A
  Complex a;    ///< A
  Complex decay;
  Real modulus;  ///< |Ā|
  Hold hold;     ///< of Δ A
};

template <class Arguments>
[[gnu::always_inline]] inline Pair pair_of(const Arguments& a, const Place& at, Real step) {
  Pair pair;
  pair.growth = exponential<double>(load_wide(a.a_log + at.real, at.channels));
  pair.a = {-pair.growth, load_wide(a.a_imaginary + at.real, at.channels)};
  const Complex exponent = step * pair.a;
  const auto [sine, cosine] = sine_and_cosine(exponent.im);
  pair.modulus = exponential<double>(exponent.re);
  pair.decay = {pair.modulus * cosine, pair.modulus * sine};
  pair.hold = hold_of(exponent, pair.decay);
  return pair;
}

/// b of the leak, and √(1 + |liquid|²)⁻¹.
[[gnu::always_inline]] inline Real shrinkage(Complex liquid) { return 1.0 / square_root<double>(squared_modulus(liquid) + 1.0); }

}  // namespace

template <Level level, class T>
void execute(const Discretise<T>& a) {
  for (std::int64_t c = 0; c < a.width; c += block) {
    const Real step = exponential<double>(load_wide(a.log_step + c, a.width - c));
    for (std::int64_t n = 0; n < a.pairs; ++n) {
      const Place at = place_of(a, n, c);
      const Pair pair = pair_of(a, at, step);
      store_narrow(a.decay, at, pair.decay);
      store_narrow(a.weight, at, 2.0 * step * (load_wide(a.b, at) * load_wide(a.c, at) * pair.hold.value));
      if (!a.liquid) continue;
      const Complex liquid = load_wide(a.liquid, at);
      store_narrow(a.leak, at, (1.0 - pair.modulus) * shrinkage(liquid) * liquid);
    }
  }
}

// With z = Δ A, G the gradient of a complex number (re + i im) and G_w = conj(dv/dw) G_v through a holomorphic v(w).
template <Level level, class T>
void execute(const DiscretiseBackward<T>& a) {
  for (std::int64_t c = 0; c < a.width; c += block) {
    const Real step = exponential<double>(load_wide(a.log_step + c, a.width - c));
    Real dstep{};
    for (std::int64_t n = 0; n < a.pairs; ++n) {
      const Place at = place_of(a, n, c);
      const Pair pair = pair_of(a, at, step);
      const Complex b = load_wide(a.b, at);
      const Complex gain = load_wide(a.c, at);
      const Complex dweight = 2.0 * load_wide(a.dweight, at);
      const Complex held = step * conjugate(pair.hold.value) * dweight;
      store_narrow(a.db, at, conjugate(gain) * held);
      store_narrow(a.dc, at, conjugate(b) * held);
      const Complex dhold = conjugate(b * gain) * dweight;  // of Δ φ
      Complex dz = conjugate(pair.decay) * load_wide(a.ddecay, at) + step * (conjugate(pair.hold.slope) * dhold);
      if (a.liquid) {
        const Complex liquid = load_wide(a.liquid, at);
        const Complex dleak = load_wide(a.dleak, at);
        const Real shrunk = shrinkage(liquid);
        const Real along = liquid.re * dleak.re + liquid.im * dleak.im;
        const Real room = 1.0 - pair.modulus;
        store_narrow(a.dliquid, at, room * shrunk * dleak - room * shrunk * shrunk * shrunk * along * liquid);
        dz.re -= pair.modulus * shrunk * along;
      }
      dstep += (conjugate(pair.hold.value) * dhold).re + (conjugate(pair.a) * dz).re;
      store_narrow(a.da_log + at.real, -pair.growth * step * dz.re, at.channels);
      store_narrow(a.da_imaginary + at.real, step * dz.im, at.channels);
    }
    store_narrow(a.dlog_step + c, step * dstep, a.width - c);
  }
}

template void execute<here>(const Discretise<float>&);
template void execute<here>(const Discretise<double>&);
template void execute<here>(const DiscretiseBackward<float>&);
template void execute<here>(const DiscretiseBackward<double>&);

}  // namespace starling::kernels
