#include "devices.hpp"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <torch/version.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include <starling/base/error.hpp>
#include <starling/kernels/cuda.hpp>
#include <starling/training/device.hpp>

namespace starling::worker {

Gpus gpus() {
  const auto& hooks = at::detail::getCUDAHooks();
  if (!hooks.hasCUDART()) return {{}, fmt::format("LibTorch {} is built for the CPU alone", TORCH_VERSION)};
  if (!kernels::built_for_cuda) return {{}, "this build has no CUDA kernels (cmake --preset cuda)"};
  Gpus found{training::device_names(), {}};
  found.names.erase(found.names.begin());  // the CPU
  if (found.names.empty()) found.why_none = fmt::format("LibTorch {} sees none (driver, CUDA_VISIBLE_DEVICES)", TORCH_VERSION);
  return found;
}

int print_devices() {
  const auto found = gpus();
  fmt::print("{}\n", nlohmann::ordered_json{{"gpus", found.names}, {"why_none", found.why_none}}.dump());
  return 0;
}

void require_device(const std::string& device) {
  if (device == "cpu") return;
  const auto found = gpus();
  if (std::ranges::find(found.names, device) != found.names.end()) return;
  throw UserError(fmt::format("--device is {}, but {}", device,
                              found.names.empty() ? found.why_none : fmt::format("the GPUs are {}", fmt::join(found.names, ", "))));
}

}  // namespace starling::worker
