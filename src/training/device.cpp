#include <starling/training/device.hpp>

#include <ATen/Context.h>
#include <ATen/ops/empty.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include <starling/base/error.hpp>
#include <starling/training/cuda_device.hpp>
#include <starling/training/free_memory.hpp>
#include <starling/training/process.hpp>

namespace starling::training {

std::vector<std::string> device_names() {
  std::vector<std::string> names{"cpu"};
  for (int i = 0; i < cuda::count(); ++i) names.push_back(fmt::format("cuda:{}", i));
  return names;
}

at::Device device_named(const std::string& name) {
  const auto names = device_names();
  const auto found = std::ranges::find(names, name);
  if (found == names.end()) throw UserError(fmt::format("device '{}': expected one of {}", name, fmt::join(names, ", ")));
  if (found == names.begin()) return at::kCPU;
  cuda::sum_in_float();
  return {at::kCUDA, static_cast<at::DeviceIndex>(found - names.begin() - 1)};
}

std::string device_description(const at::Device& device) {
  if (device.is_cpu()) return "";
  const auto [name, bytes] = cuda::description(device.index());
  return fmt::format("{}, {:.1f} GiB", name, static_cast<double>(bytes) / (1 << 30));
}

std::optional<std::int64_t> free_memory_bytes(const at::Device& device) {
  return device.is_cpu() ? free_memory_bytes() : cuda::free_bytes(device.index());
}

void release_memory(const at::Device& device) {
  if (!device.is_cpu()) cuda::release_memory(device.index());
}

void reset_peak_memory(const at::Device& device) {
  if (!device.is_cpu()) cuda::reset_peak(device.index());
}

std::uint64_t peak_memory_bytes(const at::Device& device) {
  return device.is_cpu() ? peak_memory_bytes() : cuda::peak_bytes(device.index());
}

void allow_tf32(bool allowed) { at::globalContext().setAllowTF32CuBLAS(allowed); }

bool still_works(const at::Device& device) { return device.is_cpu() || cuda::still_works(device.index()); }

void finish(const at::Device& device) {
  if (!device.is_cpu()) cuda::finish(device.index());
}

Reading::Reading(const at::Tensor& numbers) {
  if (numbers.is_cpu()) {
    here_ = numbers.contiguous();
    return;
  }
  here_ = at::empty(numbers.sizes(), at::TensorOptions().dtype(at::kDouble).pinned_memory(true));
  here_.copy_(numbers, /*non_blocking=*/true);
  arrival_ = cuda::event(numbers.device().index());
}

const double* Reading::wait() const {
  if (arrival_) cuda::wait(arrival_);
  return here_.data_ptr<double>();
}

Sending::Sending(const std::vector<at::Tensor>& tensors, const at::Device& device) {
  if (device.is_cpu()) {
    there_ = tensors;
  } else {
    arrival_ = cuda::send(tensors, device.index(), there_);
  }
}

const std::vector<at::Tensor>& Sending::take() const {
  if (arrival_) cuda::take(arrival_, there_);
  return there_;
}

}  // namespace starling::training
