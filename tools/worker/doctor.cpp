#include "doctor.hpp"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <dlfcn.h>
#include <fmt/format.h>
#include <link.h>
#include <sys/utsname.h>
#include <torch/version.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include <nlohmann/json.hpp>

#include <starling/training/device.hpp>
#include <starling/training/process.hpp>

#include "devices.hpp"

namespace starling::worker {
namespace {

// A core of the last ten years reaches 30 GFLOP/s and more with a tuned BLAS; the reference BLAS gives 3 to 6.
constexpr double slow_gflops = 15;
constexpr std::int64_t product_size = 768;
constexpr std::int64_t product_size_on_gpu = 8192;

/// The file that the symbol of a BLAS product comes from.
std::string blas_library() {
  void* symbol = dlsym(RTLD_DEFAULT, "sgemm_");
  Dl_info info{};
  if (symbol == nullptr || dladdr(symbol, &info) == 0 || info.dli_fname == nullptr) return "built into LibTorch";
  std::error_code error;
  const auto real = std::filesystem::canonical(info.dli_fname, error);
  return error ? info.dli_fname : real.string();
}

/// The instruction set that ATen has chosen, from its own report: a function for it exists in later versions only.
std::string cpu_capability() {
  const auto report = at::show_config();
  const std::string mark = "CPU capability usage: ";
  const auto start = report.find(mark);
  if (start == std::string::npos) return "unknown";
  const auto begin = start + mark.size();
  return report.substr(begin, report.find('\n', begin) - begin);
}

double matrix_product_gflops(at::ScalarType type, const std::string& device = "cpu") {
  const std::int64_t size = device == "cpu" ? product_size : product_size_on_gpu;
  const auto a = at::rand({size, size}, at::TensorOptions().device(at::Device(device))).to(type), b = at::rand_like(a);
  const auto once = [&] {
    const auto begun = std::chrono::steady_clock::now();
    at::mm(a, b)[0][0].item<float>();  // a GPU is waited for
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
  };
  once();
  double best = once();
  for (int i = 0; i < 5; ++i) best = std::min(best, once());
  return 2.0 * static_cast<double>(size) * static_cast<double>(size) * static_cast<double>(size) / best * 1e-9;
}

}  // namespace

int doctor(bool json) {
  const std::string torch = TORCH_VERSION;
  const auto blas = blas_library();
  const int openblas = training::openblas_threads();
  const double f32 = matrix_product_gflops(at::kFloat);
  const double bf16 = matrix_product_gflops(at::kBFloat16);
  std::vector<std::string> devices{"cpu"};
  auto on_gpus = nlohmann::ordered_json::object();
  for (const auto& gpu : gpus().names) {
    devices.push_back(gpu);
    auto& gflops = on_gpus[gpu] = {{"f32", matrix_product_gflops(at::kFloat, gpu)}, {"bf16", matrix_product_gflops(at::kBFloat16, gpu)}};
    training::allow_tf32(true);
    gflops["tf32"] = matrix_product_gflops(at::kFloat, gpu);
    training::allow_tf32(false);
  }
  std::vector<std::string> warnings;
  if (f32 < slow_gflops) {
    warnings.push_back(
        fmt::format("matrix products are slow ({:.1f} GFLOP/s on one thread): without OpenBLAS training takes 12 to 30 times as long; "
                    "install the package libopenblas0-pthread",
                    f32));
  }
  if (json) {
    fmt::print("{}\n", nlohmann::ordered_json{{"libtorch", torch},
                                              {"blas", blas},
                                              {"openblas", openblas > 0},
                                              {"cpu_capability", cpu_capability()},
                                              {"cores", std::thread::hardware_concurrency()},
                                              {"devices", devices},
                                              {"f32_gflops_one_thread", f32},
                                              {"bf16_gflops_one_thread", bf16},
                                              {"gflops", on_gpus},
                                              {"warnings", warnings}}
                           .dump(2));
  } else {
    fmt::print("LibTorch        {}\nBLAS            {}{}\nCPU             {} cores, ATen uses {}\ndevices         {}\n", torch, blas,
               openblas > 0 ? " (OpenBLAS)" : "", std::thread::hardware_concurrency(), cpu_capability(), fmt::join(devices, ", "));
    fmt::print("matrix product  {:.1f} GFLOP/s in f32, {:.1f} in bf16 ({} × {}, one thread)\n", f32, bf16, product_size, product_size);
    for (const auto& [gpu, gflops] : on_gpus.items()) {
      fmt::print("  on {:<12}{:.0f} GFLOP/s in f32, {:.0f} in tf32, {:.0f} in bf16 ({} × {})\n", gpu, gflops.at("f32").get<double>(),
                 gflops.at("tf32").get<double>(), gflops.at("bf16").get<double>(), product_size_on_gpu, product_size_on_gpu);
    }
    for (const auto& warning : warnings) fmt::print("warning: {}\n", warning);
    if (warnings.empty()) fmt::print("all well\n");
  }
  return warnings.empty() ? 0 : 1;
}

}  // namespace starling::worker
