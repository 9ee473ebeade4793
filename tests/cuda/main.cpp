#include <gmock/gmock.h>

#include <cstdio>
#include <exception>

#include <starling/training/device.hpp>
#include <starling/training/process.hpp>

#include "device.hpp"

namespace {

at::Device chosen = at::kCPU;

}  // namespace

namespace starling {

at::Device device_under_test() { return chosen; }

}  // namespace starling

int main(int count, char** arguments) try {
  starling::training::tune_process(1);
  testing::InitGoogleMock(&count, arguments);
  const auto names = starling::training::device_names();
  if (count < 2 && names.size() < 2) {
    std::puts("no GPU: skipped");
    return 77;
  }
  chosen = starling::training::device_named(count < 2 ? names[1] : arguments[1]);
  return RUN_ALL_TESTS();
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
