#include <starling/model/composition.hpp>

#include <ATen/ops/cat.h>
#include <ATen/ops/exp.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/sigmoid.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/sub.h>

#include <algorithm>
#include <cmath>

#include <starling/operators/functions/linear.hpp>
#include <starling/operators/functions/liquid_gate.hpp>

namespace starling::model {
namespace {

using operators::Fill;
using operators::Tensors;

// First values; the header says why.
constexpr double first_bias = -3;
constexpr double first_tau = 4;
constexpr double first_delta = 1;
constexpr double first_beta = 4;
constexpr double first_omega = 8;
constexpr double first_scale = 1;

Declaration number(const char* name, double value, at::Tensor Composition::*target) {
  return {{.name = name, .shape = {1}, .fill = Fill::constant, .scale = value}, target};
}

/// g of a routed LIV, (batch, length, 1).
at::Tensor gate(const Composition& liv, const at::Tensor& normalised, const at::Tensor* state) {
  const auto u = operators::project(normalised, {liv.route_weight})[0];
  return operators::liquid_gate({.u = u, .bias = liv.route_bias, .log_tau = liv.route_tau, .log_delta = liv.route_delta}, state);
}

}  // namespace

std::vector<Declaration> declare_composition(const genome::LivPlan& plan, bool is_first, std::int64_t width) {
  std::vector<Declaration> declarations;
  const bool parallel = plan.path_size > 1;
  if (plan.routed) declarations.push_back({{.name = "route.weight", .shape = {1, width}, .matrix = true}, &Composition::route_weight});
  if (parallel) {
    const double log_weight = -0.5 * std::log(static_cast<double>(plan.path_size));
    declarations.push_back(number("path.weight", log_weight, &Composition::path_weight));
    if (is_first && plan.path_routed) declarations.push_back(number("path.scale", first_scale, &Composition::path_scale));
  }
  if (plan.routed) {
    declarations.push_back(number("route.bias", first_bias, &Composition::route_bias));
    declarations.push_back(number("route.tau", std::log(first_tau), &Composition::route_tau));
    declarations.push_back(number("route.delta", std::log(first_delta), &Composition::route_delta));
    if (!parallel) {
      declarations.push_back(number("route.beta", first_beta, &Composition::route_beta));
      declarations.push_back(number("route.omega", first_omega, &Composition::route_omega));
    }
  }
  return declarations;
}

Tensors contribution_weights(const std::vector<const Composition*>& members, const Tensors& normalised, const at::Tensor* gates) {
  const auto routed = [](const Composition* liv) { return liv->is_routed(); };
  const bool any_routed = std::any_of(members.begin(), members.end(), routed);
  const auto gate_of = [&](std::size_t k) { return gate(*members[k], normalised[k], gates ? &gates[k] : nullptr); };
  Tensors weights(members.size());
  if (members.size() == 1) {
    const auto& liv = *members[0];
    if (any_routed) weights[0] = at::sigmoid(at::sub(liv.route_beta, at::mul(liv.route_omega, gate_of(0))));
    return weights;
  }
  if (!any_routed) {
    for (std::size_t k = 0; k < members.size(); ++k) weights[k] = at::exp(members[k]->path_weight);
    return weights;
  }
  const auto& x = normalised[0];
  Tensors scores;
  for (std::size_t k = 0; k < members.size(); ++k) {
    const auto& weight = members[k]->path_weight;
    if (members[k]->is_routed()) {
      scores.push_back(at::mul(members[0]->path_scale, gate_of(k)).add(weight));
    } else {
      scores.push_back(weight.expand({x.size(0), x.size(1), 1}));
    }
  }
  const auto shares = at::softmax(at::cat(scores, -1), -1);
  for (std::size_t k = 0; k < members.size(); ++k) weights[k] = shares.narrow(2, static_cast<std::int64_t>(k), 1);
  return weights;
}

}  // namespace starling::model
