// Every class at the size of a 125-million-parameter model, one layer: 4096 tokens of unit variance at width 768, first weights, in
// float and in bfloat16.
#include <gtest/gtest.h>
#include <malloc.h>

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <torch/csrc/autograd/autograd.h>

#include <fstream>
#include <map>
#include <string>
#include <tuple>
#include <utility>

#include <starling/model/translate.hpp>
#include <starling/operators/compile.hpp>
#include <starling/operators/initialise.hpp>

#include "torch_support.hpp"

namespace starling::model {
namespace {

constexpr std::int64_t width = 768;
constexpr std::int64_t length = 4096;
constexpr std::size_t depth = 24;

/// A line of /proc/self/status, in bytes.
std::int64_t status(const std::string& key) {
  std::ifstream file("/proc/self/status");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with(key + ":")) return 1024 * std::stoll(line.substr(key.size() + 1));
  }
  throw std::runtime_error("/proc/self/status has no " + key);
}

/// What the process holds at most from here on, beyond what it holds now.
class PeakMemory {
 public:
  PeakMemory() {
    malloc_trim(0);
    std::ofstream("/proc/self/clear_refs") << 5;  // resets VmHWM
    before_ = status("VmRSS");
  }
  std::int64_t bytes() const { return status("VmHWM") - before_; }

 private:
  std::int64_t before_;
};

/// What the forward and the backward pass of a class hold at most, weights' gradients included, in units of x in float32 (4 · T · d bytes):
/// in float and in bfloat16. Measured, and two more. A T×T matrix of one head would be 5 more, at half the size 2.7.
const std::map<std::string, std::pair<double, double>> memory_bounds = {
    {"SA-1", {16, 10}},      {"SA-2", {12, 9}},        {"SA-3", {10, 8}},        {"Rec-1", {13, 9}},         {"Rec-2", {12, 9}},
    {"GConv-1", {16, 10}},   {"GConv-2", {19, 13}},    {"GMemless", {20, 13}},   {"GMemless-2", {20, 13}},   {"GMemless-3", {20, 12}},
    {"S4-1", {12, 8}},       {"S4-2", {12, 8}},        {"S4-Monarch", {15, 11}}, {"SA-1-Diff", {17, 12}},    {"SA-2-Diff", {19, 14}},
    {"SA-3-Diff", {13, 11}}, {"Rec-1-Diff", {16, 14}}, {"Rec-2-Diff", {18, 13}}, {"GConv-1-Diff", {22, 15}}, {"GConv-2-Diff", {27, 20}},
    {"S4-Diff", {15, 15}},   {"SA-4", {12, 9}},        {"SA-5", {18, 11}},       {"SA-4-Diff", {14, 11}},    {"SA-5-Diff", {19, 13}}};

double deviation(const at::Tensor& tensor) { return tensor.to(at::kDouble).square().mean().sqrt().item<double>(); }

class Scale : public ::testing::TestWithParam<std::tuple<int, at::ScalarType>> {};

TEST_P(Scale, OutputsAndGradientsAreFiniteAndOfSaneSizeInLittleMemory) {
  // A threshold that does not grow: what is freed goes back to the system, and the peak is this class's own.
  mallopt(M_MMAP_THRESHOLD, 1 << 17);
  const auto& catalogue = genome::Catalogue::liquid();
  const auto [id, type] = GetParam();
  const auto op = operators::compile(
      translate(catalogue.at(id), catalogue.featurizer_of(catalogue.at(id)), {.width = width, .length = length, .vocabulary = 257}, 12));
  std::vector<at::Tensor> inputs;
  std::uint64_t index = 0;
  const auto filled = [&](const std::vector<operators::TensorSpec>& specs) {
    operators::Tensors tensors;
    for (const auto& spec : specs) {
      Stream stream(3, Purpose::initialisation, index++);
      auto tensor = at::empty(spec.shape);
      operators::initialise(tensor, spec, operators::Rule::glorot, depth, stream);
      if (spec.matrix) tensor = tensor.to(type);
      inputs.push_back(tensors.emplace_back(tensor.requires_grad_(true)));
    }
    return tensors;
  };
  const auto bank = filled(op->bank());
  const auto own = filled(op->own());
  Stream stream(4, Purpose::test);
  const auto x = reference::random_tensor({1, length, width}, stream).to(type).requires_grad_(true);
  const auto residual = at::zeros({1, length, width});
  const auto dy = reference::random_tensor({1, length, width}, stream).to(at::kFloat);
  inputs.push_back(x);

  const PeakMemory peak;
  operators::Tensors features(catalogue.featurizer_of(catalogue.at(id)).groups.size() + op->exports());
  const auto mixed = op->forward({.x = x, .bank = bank, .own = own, .computes = ~operators::GroupMask{0}, .features = features});
  const auto y = op->output(residual, mixed, own);
  const auto gradients = torch::autograd::grad({y}, inputs, {dy}, false, false, true);
  const auto units = static_cast<double>(peak.bytes()) / static_cast<double>(4 * length * width);

  const auto out = deviation(y), into = deviation(gradients.back());
  fmt::print("{:<14} {:<8} output {:.2e}  gradient of the input {:.2e}  memory {:.1f} x (T, d) floats\n", catalogue.at(id).name,
             c10::toString(type), out, into, units);
  EXPECT_TRUE(y.isfinite().all().item<bool>());
  EXPECT_GT(out, 1e-4);
  EXPECT_LT(out, 10);
  EXPECT_GT(into, 1e-4);
  EXPECT_LT(into, 10);
  for (std::size_t i = 0; i < gradients.size(); ++i) {
    ASSERT_TRUE(gradients[i].defined()) << "input " << i;
    EXPECT_TRUE(gradients[i].isfinite().all().item<bool>()) << "input " << i;
    // As many random terms as there are tokens.
    EXPECT_LT(deviation(gradients[i]), 100 * std::sqrt(length)) << "input " << i;
  }
  const auto [bound, bound_bf16] = memory_bounds.at(catalogue.at(id).name);
  EXPECT_LT(units, type == at::kFloat ? bound : bound_bf16);
}

std::vector<int> ids() {
  std::vector<int> ids;
  for (const auto& liv_class : genome::Catalogue::liquid().classes()) ids.push_back(liv_class.id);
  return ids;
}

std::string name_of(const ::testing::TestParamInfo<std::tuple<int, at::ScalarType>>& of) {
  const auto [id, type] = of.param;
  auto name = genome::Catalogue::liquid().at(id).name;
  std::erase(name, '-');
  return name + (type == at::kFloat ? "" : "_bfloat16");
}

INSTANTIATE_TEST_SUITE_P(Classes, Scale, ::testing::Combine(::testing::ValuesIn(ids()), ::testing::Values(at::kFloat, at::kBFloat16)),
                         name_of);

}  // namespace
}  // namespace starling::model
