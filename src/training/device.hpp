// Where a training runs: what it asks of the CPU and of CUDA devices, of which a build without STARLING_CUDA has none.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace starling::training {

/// "cpu", then "cuda:0", "cuda:1", … as far as this build and this machine have them.
std::vector<std::string> device_names();
/// Throws UserError for what is none of them. Whoever trains on a device asks for it here: this also makes its products sum in float.
at::Device device_named(const std::string& name);
/// "NVIDIA H200, 139.8 GiB"; empty for the CPU.
std::string device_description(const at::Device& device);

/// Bytes that this process may still take there: what is free, and what it has taken and does not use. Nothing where nobody says.
std::optional<std::int64_t> free_memory_bytes(const at::Device& device);
/// Gives memory that this process has taken and does not use back to a device: what CUDA and its libraries take themselves (code, stacks,
/// workspaces) they find only there.
void release_memory(const at::Device& device);
/// Begins to count the peak of a device anew.
void reset_peak_memory(const at::Device& device);
/// Largest size so far: of the process on the CPU, of its tensors on a device since reset_peak_memory().
std::uint64_t peak_memory_bytes(const at::Device& device);

/// Whether matrix products in float may round their factors to TF32 (10 bits of mantissa) from here on, which CUDA devices do in a fraction
/// of the time.
void allow_tf32(bool allowed);

/// Waits for all that it has to do.
void finish(const at::Device& device);
/// Whether a device still works for this process. After some errors (an illegal address, a failed assertion) it never does again. Waits for
/// all that it has to do.
bool still_works(const at::Device& device);

/// Numbers on their way from a device to the CPU.
class Reading {
 public:
  /// A tensor of double; returns at once.
  explicit Reading(const at::Tensor& numbers);
  /// They are there when it returns.
  const double* wait() const;

 private:
  at::Tensor here_;
  std::shared_ptr<void> arrival_;  ///< null on the CPU
};

/// Tensors of the CPU on their way to a device, sent from any thread beside what the device computes meanwhile.
class Sending {
 public:
  Sending() = default;
  Sending(const std::vector<at::Tensor>& tensors, const at::Device& device);
  /// Them on the device, for what is computed there from here on by this thread.
  const std::vector<at::Tensor>& take() const;

 private:
  std::vector<at::Tensor> there_;
  std::shared_ptr<void> arrival_;
};

}  // namespace starling::training
