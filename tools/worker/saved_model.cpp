#include "saved_model.hpp"

#include <ATen/ops/empty.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <unordered_map>

#include <starling/base/error.hpp>

namespace starling::worker {
namespace {

void fill(model::Model& model, const run::LoadedCheckpoint& saved, const std::filesystem::path& file) {
  const c10::NoGradGuard no_gradient;
  std::unordered_map<std::string, const run::LoadedArray*> arrays;
  for (const auto& array : saved.weights) arrays[array.name] = &array;
  for (const auto& parameter : model.parameters()) {
    const auto found = arrays.find(parameter.name);
    if (found == arrays.end()) throw Failure(file.string() + ": the weight '" + parameter.name + "' is missing");
    if (!std::ranges::equal(found->second->shape, parameter.value.sizes())) {
      throw Failure(file.string() + ": the weight '" + parameter.name + "' has another shape than its genome gives it");
    }
    const auto here = at::empty(parameter.value.sizes(), at::kFloat);
    std::ranges::copy(found->second->data, here.data_ptr<float>());
    parameter.value.copy_(here);
    if (parameter.copy.defined()) parameter.copy.copy_(parameter.value);
    arrays.erase(found);
  }
  if (!arrays.empty()) throw Failure(file.string() + ": the weight '" + arrays.begin()->first + "' belongs to nothing in its genome");
}

}  // namespace

SavedModel load_model(const std::filesystem::path& checkpoint, const at::Device& device, at::ScalarType type) {
  const auto saved = run::read_checkpoint(checkpoint);
  auto experiment = experiment::parse(saved.info.experiment, checkpoint.string() + ": experiment");
  const auto& catalogue = experiment::catalogue(experiment);
  model::Model model(catalogue, genome::parse_genome(saved.info.genome), experiment::dimensions(experiment), 0,
                     model::Model::Initialization::glorot, type, device);
  fill(model, saved, checkpoint);
  return {saved.info, std::move(experiment), std::move(model)};
}

}  // namespace starling::worker
