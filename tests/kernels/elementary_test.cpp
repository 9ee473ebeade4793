// The vectorised elementary functions, at the baseline level (the source is the same at all levels), against libm in
// double.
#include <starling/kernels/elementary.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>
#include <utility>

namespace starling::kernels {
namespace {

constexpr double infinite = std::numeric_limits<double>::infinity();

/// The largest error in units of the last place of the expected value, over `steps` points of [from, to].
template <class T, class Found, class Expected>
double worst_ulps(double from, double to, int steps, Found found, Expected expected) {
  double worst = 0;
  for (int i = 0; i <= steps; ++i) {
    const T x = static_cast<T>(from + (to - from) * i / steps);
    const long double right = expected(static_cast<long double>(x));
    const T nearest = static_cast<T>(right);
    const T ulp = std::nextafter(std::abs(nearest), std::numeric_limits<T>::infinity()) - std::abs(nearest);
    worst = std::max(worst, static_cast<double>(std::abs(static_cast<long double>(found(splat(x))[0]) - right) / ulp));
  }
  return worst;
}

template <class Vector>
using Number = std::remove_reference_t<decltype(std::declval<Vector>()[0])>;
// What is always inlined has no address.
constexpr auto exponential_of = [](auto x) { return exponential<Number<decltype(x)>>(x); };
constexpr auto exp2_bounded_of = [](auto x) { return exp2_bounded<Number<decltype(x)>>(x); };
constexpr auto log1p_unit_of = [](auto x) { return log1p_unit<Number<decltype(x)>>(x); };
constexpr auto softplus_of = [](auto x) { return softplus<Number<decltype(x)>>(x); };
constexpr auto sigmoid_of = [](auto x) { return sigmoid<Number<decltype(x)>>(x); };
constexpr auto normal_cdf_of = [](auto x) { return normal_cdf<Number<decltype(x)>>(x); };

long double exact_exp(long double x) { return std::exp(x); }
long double exact_exp2(long double x) { return std::exp2(x); }
long double exact_log1p(long double x) { return std::log1p(x); }
long double exact_softplus(long double x) { return x > 0 ? x + std::log1p(std::exp(-x)) : std::log1p(std::exp(x)); }
long double exact_cdf(long double x) { return 0.5L * std::erfc(-x / std::sqrt(2.0L)); }

template <class T>
class Elementary : public ::testing::Test {};
using Types = ::testing::Types<float, double>;
TYPED_TEST_SUITE(Elementary, Types);

TYPED_TEST(Elementary, FunctionsAreWithinAFewUlps) {
  using T = TypeParam;
  const double top = sizeof(T) == 4 ? 88.7 : 709.7;
  const double bottom = sizeof(T) == 4 ? -86.8 : -707.9;
  EXPECT_LT(worst_ulps<T>(bottom, top, 100000, exponential_of, exact_exp), 2);
  EXPECT_LT(worst_ulps<T>(sizeof(T) == 4 ? -124.9 : -1020.9, 100, 100000, exp2_bounded_of, exact_exp2), 2);
  EXPECT_LT(worst_ulps<T>(0, 1, 100000, log1p_unit_of, exact_log1p), 3);
  EXPECT_LT(worst_ulps<T>(-20, 30, 100000, softplus_of, exact_softplus), 3);
  EXPECT_LT(worst_ulps<T>(-3, 8, 100000, normal_cdf_of, exact_cdf), 32);
}

TYPED_TEST(Elementary, TangentIsWithinTwoUlpsOfOne) {
  using T = TypeParam;
  const T ulp = std::numeric_limits<T>::epsilon();
  for (int i = -20000; i <= 20000; ++i) {
    const T x = static_cast<T>(i) * T(0.001);
    ASSERT_NEAR(tangent<T>(splat(x))[0], std::tanh(static_cast<double>(x)), 2 * ulp) << x;
  }
  EXPECT_EQ(tangent<T>(splat(std::numeric_limits<T>::infinity()))[0], T(1));
  EXPECT_EQ(tangent<T>(splat(-std::numeric_limits<T>::infinity()))[0], T(-1));
  EXPECT_TRUE(std::isnan(tangent<T>(splat(T(NAN)))[0]));
}

TEST(SineAndCosine, AreExactToRoundingInEveryQuadrant) {
  for (const double scale : {0.001, 0.37, 29.0}) {
    for (int i = -30000; i <= 30000; ++i) {
      const double x = i * scale;
      const auto [sine, cosine] = sine_and_cosine(splat(x));
      ASSERT_NEAR(sine[0], std::sin(x), 1e-15) << x;
      ASSERT_NEAR(cosine[0], std::cos(x), 1e-15) << x;
    }
  }
  EXPECT_TRUE(std::isnan(sine_and_cosine(splat(infinite)).sine[0]));
}

TYPED_TEST(Elementary, ExtremesAndNaN) {
  using T = TypeParam;
  const auto at = [](auto function, double x) { return static_cast<double>(function(splat(static_cast<T>(x)))[0]); };
  EXPECT_EQ(at(exponential_of, 0), 1);
  EXPECT_EQ(at(exponential_of, infinite), infinite);
  EXPECT_EQ(at(exponential_of, 1e30), infinite);
  EXPECT_EQ(at(exponential_of, -infinite), 0);
  EXPECT_EQ(at(exponential_of, -1e30), 0);
  EXPECT_TRUE(std::isnan(at(exponential_of, NAN)));
  EXPECT_EQ(at(exp2_bounded_of, 0), 1);
  EXPECT_EQ(at(exp2_bounded_of, -infinite), 0);
  EXPECT_EQ(at(exp2_bounded_of, -1e30), 0);
  EXPECT_TRUE(std::isnan(at(exp2_bounded_of, NAN)));
  EXPECT_EQ(at(softplus_of, infinite), infinite);
  EXPECT_EQ(at(softplus_of, -infinite), 0);
  EXPECT_EQ(at(softplus_of, 1e30), static_cast<double>(static_cast<T>(1e30)));
  EXPECT_TRUE(std::isnan(at(softplus_of, NAN)));
  EXPECT_EQ(at(sigmoid_of, infinite), 1);
  EXPECT_EQ(at(sigmoid_of, -infinite), 0);
  EXPECT_TRUE(std::isnan(at(sigmoid_of, NAN)));
  EXPECT_EQ(at(normal_cdf_of, infinite), 1);
  EXPECT_EQ(at(normal_cdf_of, -infinite), 0);
  EXPECT_TRUE(std::isnan(at(normal_cdf_of, NAN)));
}

}  // namespace
}  // namespace starling::kernels
