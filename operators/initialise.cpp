#include <starling/operators/initialise.hpp>

#include <bit>
#include <cassert>
#include <cmath>
#include <numbers>

#include <starling/operators/functions/tensors.hpp>

namespace starling::operators {
namespace {

// log x for normal x > 0: x = m 2^e with m in [√½, √2), log m = 2 artanh((m − 1) / (m + 1)) as a power series.
double exact_log(double x) {
  auto bits = std::bit_cast<std::uint64_t>(x);
  auto exponent = static_cast<std::int64_t>(bits >> 52) - 1023;
  auto mantissa = std::bit_cast<double>((bits & 0x000fffffffffffffull) | 0x3ff0000000000000ull);
  if (mantissa > 1.4142135623730951) {
    mantissa *= 0.5;
    ++exponent;
  }
  const double s = (mantissa - 1.0) / (mantissa + 1.0);
  const double square = s * s;
  double sum = 0;
  for (int odd = 25; odd >= 1; odd -= 2) sum = sum * square + 1.0 / odd;
  return static_cast<double>(exponent) * 0.69314718055994530942 + 2.0 * s * sum;
}

struct Coefficients {
  double numerator[8];
  double denominator[8];
};

double ratio(const Coefficients& coefficients, double x) {
  double above = coefficients.numerator[7];
  double below = coefficients.denominator[7];
  for (int i = 6; i >= 0; --i) {
    above = above * x + coefficients.numerator[i];
    below = below * x + coefficients.denominator[i];
  }
  return above / below;
}

constexpr Coefficients centre = {{3.3871328727963666080e0, 1.3314166789178437745e+2, 1.9715909503065514427e+3, 1.3731693765509461125e+4,
                                  4.5921953931549871457e+4, 6.7265770927008700853e+4, 3.3430575583588128105e+4, 2.5090809287301226727e+3},
                                 {1.0, 4.2313330701600911252e+1, 6.8718700749205790830e+2, 5.3941960214247511077e+3,
                                  2.1213794301586595867e+4, 3.9307895800092710610e+4, 2.8729085735721942674e+4, 5.2264952788528545610e+3}};
constexpr Coefficients flank = {
    {1.42343711074968357734e0, 4.63033784615654529590e0, 5.76949722146069140550e0, 3.64784832476320460504e0, 1.27045825245236838258e0,
     2.41780725177450611770e-1, 2.27238449892691845833e-2, 7.74545014278341407640e-4},
    {1.0, 2.05319162663775882187e0, 1.67638483018380384940e0, 6.89767334985100004550e-1, 1.48103976427480074590e-1,
     1.51986665636164571966e-2, 5.47593808499534494600e-4, 1.05075007164441684324e-9}};
constexpr Coefficients tail = {
    {6.65790464350110377720e0, 5.46378491116411436990e0, 1.78482653991729133580e0, 2.96560571828504891230e-1, 2.65321895265761230930e-2,
     1.24266094738807843860e-3, 2.71155556874348757815e-5, 2.01033439929228813265e-7},
    {1.0, 5.99832206555887937690e-1, 1.36929880922735805310e-1, 1.48753612908506148525e-2, 7.86869131145613259100e-4,
     1.84631831751005468180e-5, 1.42151175831644588870e-7, 2.04426310338993978564e-15}};

// 32 random bits per number reach 6.2 σ, and one block of the generator makes four numbers.
double normal(Stream& stream) { return normal_quantile((static_cast<double>(stream()) + 0.5) * 0x1.0p-32); }

// The step sizes of S6 and S4D are log-uniform in this range.
constexpr double step_min = 1e-3;
constexpr double step_max = 1e-1;
// 1 − a of a gated decay likewise.
constexpr double leak_min = 1e-3;
constexpr double leak_max = 0.5;

double log_of_step(Stream& stream) {
  const double low = exact_log(step_min);
  return low + stream.uniform() * (exact_log(step_max) - low);
}

double value_of(const TensorSpec& spec, double sigma, std::int64_t row, std::int64_t column, Stream& stream) {
  switch (spec.fill) {
    case Fill::projection:
    case Fill::output:
    case Fill::normal:
      return sigma * normal(stream);
    case Fill::uniform:
      return spec.scale * (2.0 * stream.uniform() - 1.0);
    case Fill::one:
      return 1.0;
    case Fill::constant:
      return spec.scale;
    case Fill::complex_one:
      return 2 * row < spec.shape[0] ? 1.0 : 0.0;
    case Fill::harmonics:
      return std::numbers::pi * static_cast<double>(row);
    case Fill::log_step:
      return log_of_step(stream);
    case Fill::state_decay:
      return exact_log(static_cast<double>(column + 1));
    case Fill::step_bias: {
      const double step = std::exp(log_of_step(stream));
      return std::log(std::expm1(step));
    }
    case Fill::decay_bias: {
      const double low = exact_log(leak_min);
      const double log_leak = low + stream.uniform() * (exact_log(leak_max) - low);
      return exact_log(1.0 - std::exp(log_leak)) - log_leak;
    }
  }
  return 0;
}

double sigma_of(const TensorSpec& spec, Rule rule, std::size_t depth) {
  if (spec.fill == Fill::normal) return spec.scale;
  if (spec.fill != Fill::projection && spec.fill != Fill::output) return 0;
  assert(spec.shape.size() >= 2);
  const auto outputs = static_cast<double>(spec.shape.end()[-2]);
  const auto inputs = static_cast<double>(spec.shape.back());
  const double sigma = std::sqrt(2.0 / (rule == Rule::glorot ? inputs + outputs : inputs));
  return spec.fill == Fill::output ? sigma / std::sqrt(2.0 * static_cast<double>(depth)) : sigma;
}

}  // namespace

double normal_quantile(double p) {
  const double q = p - 0.5;
  if (q >= -0.425 && q <= 0.425) return q * ratio(centre, 0.180625 - q * q);
  const double r = std::sqrt(-exact_log(q < 0 ? p : 1.0 - p));
  const double x = r <= 5.0 ? ratio(flank, r - 1.6) : ratio(tail, r - 5.0);
  return q < 0 ? -x : x;
}

void initialise(const at::Tensor& tensor, const TensorSpec& spec, Rule rule, std::size_t depth, Stream& stream) {
  assert(tensor.is_contiguous() && tensor.numel() == spec.elements());
  const double sigma = sigma_of(spec, rule, depth);
  const auto columns = spec.shape.back();
  with_exact_type(tensor, [&]<class T>(T) {
    auto* const values = tensor.data_ptr<T>();
    for (std::int64_t i = 0; i < tensor.numel(); ++i) values[i] = static_cast<T>(value_of(spec, sigma, i / columns, i % columns, stream));
  });
}

}  // namespace starling::operators
