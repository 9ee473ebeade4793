// What the tests of kernels share. A test names its arrays, runs the same case through the kernel in float and in
// double and through the reference, and compares the outputs by name.
#pragma once

#include "lockstep_launcher.hpp"
#include "reference.hpp"

#include <starling/kernels/bfloat16.hpp>
#include <starling/kernels/cuda.hpp>

#include <starling/base/random.hpp>

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <string>
#include <vector>

namespace starling::kernels {

using Numbers = std::vector<double>;
using Arrays = std::map<std::string, Numbers>;

inline Stream test_stream(std::uint64_t index) { return Stream(7, Purpose::test, index); }

inline Numbers normal_numbers(Stream& stream, std::int64_t count, double scale = 1) {
  Numbers numbers(static_cast<std::size_t>(count));
  // Representable in float, so that float and double kernels see the same inputs.
  for (double& x : numbers) x = static_cast<float>(scale * stream.normal());
  return numbers;
}

template <class T>
std::vector<T> as(const Numbers& numbers) {
  std::vector<T> values;
  for (const double x : numbers) values.push_back(T(static_cast<Compute<T>>(x)));
  return values;
}

/// The same arrays in numbers that bfloat16 holds, so that kernels over it see what those over float see.
inline Arrays rounded(Arrays arrays) {
  for (auto& [name, numbers] : arrays)
    for (double& x : numbers) x = bfloat16(static_cast<float>(x));
  return arrays;
}

/// What the backward pass of a kernel over bfloat16 finds of the forward pass.
template <class T>
void round_in_place(std::vector<T>& values) {
  for (T& x : values) x = T(static_cast<Compute<T>>(static_cast<float>(bfloat16(static_cast<float>(x)))));
}

template <class T>
std::vector<T> zeros_like(const std::vector<T>& values) {
  return std::vector<T>(values.size(), T(Compute<T>(0)));
}

template <class T>
Numbers numbers_of(const std::vector<T>& values) {
  return Numbers(values.begin(), values.end());
}

/// What runs a kernel: the CPU at one level, its device form in lockstep on the CPU, or that on the device at hand.
struct Engine {
  enum class Kind { cpu, lockstep, cuda };
  Kind kind = Kind::cpu;
  Level level = Level::baseline;
  Turns turns = Turns::ascending;
};
inline Engine& engine_in_use() {
  static Engine engine;
  return engine;
}
#if defined(STARLING_TESTS_ON_DEVICE)
/// Calls work(queue) and waits until the device has done what it enqueued.
void on_device_at_hand(const std::function<void(const Queue&)>& work);
#endif

/// Runs a kernel on the engine in use (its CPU form at the active level where it has no other), or the reference.
inline constexpr auto kernel = []<class Arguments>(const Arguments& arguments) {
  if constexpr (on_device<Arguments>) {
    const Engine& engine = engine_in_use();
    if (engine.kind == Engine::Kind::lockstep) {
      LockstepLauncher launcher(engine.turns);
      return launch_all(arguments, launcher);
    }
#if defined(STARLING_TESTS_ON_DEVICE)
    if (engine.kind == Engine::Kind::cuda) return on_device_at_hand([&](const Queue& queue) { enqueue(arguments, queue); });
#endif
  }
  dispatch(arguments);
};
inline constexpr auto naive = [](const auto& arguments) { reference::run(arguments); };

/// |found − expected| ≤ tolerance · (|expected| + root mean square of the array + 0.1), element by element; NaN equals
/// NaN. The last term is for arrays that are zero but for cancellation, at inputs of size 1.
inline void expect_close(const Numbers& found, const Numbers& expected, double tolerance, const std::string& name) {
  ASSERT_EQ(found.size(), expected.size()) << name;
  double squares = 0;
  for (double x : expected) squares += x * x;
  const double typical = std::sqrt(squares / static_cast<double>(expected.size() + 1));
  for (std::size_t i = 0; i < found.size(); ++i) {
    if (std::isnan(expected[i]) && std::isnan(found[i])) continue;
    ASSERT_LE(std::abs(found[i] - expected[i]), tolerance * (std::abs(expected[i]) + typical + 0.1))
        << name << "[" << i << "]: found " << found[i] << ", expected " << expected[i];
  }
}

inline void expect_close(const Arrays& found, const Arrays& expected, double tolerance) {
  ASSERT_EQ(found.size(), expected.size());
  for (const auto& [name, numbers] : expected) expect_close(found.at(name), numbers, tolerance, name);
}

/// What a kernel over bfloat16 gives is what it gives over float, rounded: `close` and nothing lost of NaN and infinity.
inline void expect_rounded(const Arrays& found, const Arrays& expected) {
  for (const auto& [name, numbers] : expected) {
    ASSERT_EQ(found.at(name).size(), numbers.size()) << name;
    Numbers finite = numbers, of_finite = found.at(name);
    for (std::size_t i = 0; i < numbers.size(); ++i) {
      ASSERT_EQ(std::isnan(of_finite[i]), std::isnan(numbers[i])) << name << "[" << i << "]";
      ASSERT_EQ(std::isinf(of_finite[i]), std::isinf(numbers[i])) << name << "[" << i << "]";
      if (!std::isfinite(numbers[i])) finite[i] = of_finite[i] = 0;
    }
    expect_close(of_finite, finite, 0x1p-8, name);
  }
}

/// The gradient "dX" of every array "X" among the inputs that has one, against central differences of Σ output ·
/// upstream, in double.
inline void expect_gradients(const std::function<Arrays(const Arrays&)>& run, Arrays inputs, const std::string& output,
                             const std::string& upstream, double tolerance = 1e-6) {
  // Thousands of runs; in lockstep, agreement with the reference in double says as much.
  if (engine_in_use().kind == Engine::Kind::lockstep) return;
  const Arrays found = run(inputs);
  const auto objective = [&] {
    const Numbers y = run(inputs).at(output);
    double total = 0;
    for (std::size_t i = 0; i < y.size(); ++i) total += y[i] * inputs.at(upstream)[i];
    return total;
  };
  constexpr double step = 1e-5;
  int checked = 0;
  for (auto& [name, numbers] : inputs) {
    const auto gradient = found.find("d" + name);
    if (gradient == found.end()) continue;
    ++checked;
    Numbers expected;
    for (double& x : numbers) {
      const double kept = x;
      x = kept + step;
      const double above = objective();
      x = kept - step;
      const double below = objective();
      x = kept;
      expected.push_back((above - below) / (2 * step));
    }
    expect_close(gradient->second, expected, tolerance, "d" + name);
  }
  EXPECT_GT(checked, 0);
}

/// Runs each test at every level of the machine.
class AtEachLevel : public ::testing::TestWithParam<Level> {
 protected:
  void SetUp() override { force_level(GetParam()); }
  void TearDown() override { force_level(supported_levels().back()); }
};

inline std::string level_label(const ::testing::TestParamInfo<Level>& info) {
  switch (info.param) {
    case Level::baseline:
      return "baseline";
    case Level::v3:
      return "v3";
    case Level::v4:
      return "v4";
  }
  return "unknown";
}

/// Runs each test at every level of the machine and in lockstep, or, in the program of tests on a device, on that.
class AtEachEngine : public ::testing::TestWithParam<Engine> {
 protected:
  void SetUp() override {
    engine_in_use() = GetParam();
    if (GetParam().kind == Engine::Kind::cpu) force_level(GetParam().level);
  }
  void TearDown() override {
    engine_in_use() = Engine{};
    force_level(supported_levels().back());
  }
};
inline std::vector<Engine> engines() {
#if defined(STARLING_TESTS_ON_DEVICE)
  return {{.kind = Engine::Kind::cuda}};
#else
  std::vector<Engine> all{{.kind = Engine::Kind::lockstep, .turns = Turns::ascending},
                          {.kind = Engine::Kind::lockstep, .turns = Turns::descending}};
  for (const Level level : supported_levels()) all.push_back({.kind = Engine::Kind::cpu, .level = level});
  return all;
#endif
}
inline std::string engine_label(const ::testing::TestParamInfo<Engine>& info) {
  switch (info.param.kind) {
    case Engine::Kind::cpu:
      return level_label({info.param.level, info.index});
    case Engine::Kind::lockstep:
      return info.param.turns == Turns::ascending ? "lockstep" : "lockstep_descending";
    case Engine::Kind::cuda:
      return "cuda";
  }
  return "unknown";
}

/// The same bits from a device form whatever the order in which its threads and blocks run; on a device, in several runs.
template <class Run>
void expect_same_in_any_order(Run run) {
  const Engine kept = engine_in_use();
#if defined(STARLING_TESTS_ON_DEVICE)
  engine_in_use() = {.kind = Engine::Kind::cuda};
  const Arrays once = run();
  for (int i = 0; i < 5; ++i) EXPECT_EQ(once, run());
#else
  engine_in_use() = {.kind = Engine::Kind::lockstep, .turns = Turns::ascending};
  const Arrays forwards = run();
  engine_in_use().turns = Turns::descending;
  const Arrays backwards = run();
  EXPECT_EQ(forwards, backwards);
#endif
  engine_in_use() = kept;
}

inline constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();
inline constexpr double infinity = std::numeric_limits<double>::infinity();

}  // namespace starling::kernels
