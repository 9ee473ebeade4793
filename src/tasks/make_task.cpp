#include <starling/tasks/make_task.hpp>

#include <starling/tasks/language_model.hpp>
#include <starling/tasks/mad.hpp>
#include <starling/tasks/series.hpp>

namespace starling::tasks {
namespace {

std::unique_ptr<const Task> make(const LanguageModelOptions& options) { return make_language_model(options); }
std::unique_ptr<const Task> make(const MadOptions& options) { return make_mad(options); }
std::unique_ptr<const Task> make(const SeriesOptions& options) { return make_series(options); }

}  // namespace

std::shared_ptr<const Task> make_task(const Options& options) {
  return std::visit([](const auto& kind) { return make(kind); }, options);
}

}  // namespace starling::tasks
