#include "devices.hpp"

#include <fmt/format.h>
#include <torch/version.h>

#include <nlohmann/json.hpp>

#include <starling/kernels/cuda.hpp>
#include <starling/training/device.hpp>

namespace starling::worker {

Gpus gpus() {
  Gpus found{training::device_names(), ""};
  found.names.erase(found.names.begin());  // the CPU
  if (!found.names.empty()) return found;
  found.why_none = kernels::built_for_cuda ? fmt::format("LibTorch {} sees none (driver, CUDA_VISIBLE_DEVICES)", TORCH_VERSION)
                                           : fmt::format("this Starling is built for the CPU alone, with LibTorch {}", TORCH_VERSION);
  return found;
}

int print_devices() {
  const auto found = gpus();
  fmt::print("{}\n", nlohmann::ordered_json{{"gpus", found.names}, {"why_none", found.why_none}}.dump());
  return 0;
}

}  // namespace starling::worker
