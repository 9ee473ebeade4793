#include <starling/operators/compile.hpp>

#include <array>
#include <string>

#include <starling/base/error.hpp>
#include <starling/operators/livs/livs.hpp>

namespace starling::operators {

std::unique_ptr<Operator> compile(const Config& config) {
  constexpr std::array families = {differential,      score_attention,      linear_attention, selective_state_space, gated_recurrence,
                                   gated_convolution, implicit_convolution, state_space,      gated_memoryless};
  for (const auto family : families) {
    if (auto made = family(config)) return made;
  }
  std::string groups;
  for (const auto& group : config.groups) groups += (groups.empty() ? "" : ", ") + group.name;
  const auto number = [](auto value) { return std::to_string(static_cast<int>(value)); };
  throw UserError("class " + config.name + ": no " + (config.differential ? "differential " : "") + "operator has token mixing " +
                  number(config.token_mixing) + ", sparsity " + number(config.sparsity) + ", nonlinearity " + number(config.nonlinearity) +
                  ", channel mixing " + number(config.channel_mixing) + " over the feature groups " + groups);
}

}  // namespace starling::operators
