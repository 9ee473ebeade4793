// What the families' sources share: declaring projections and computing the groups a LIV has to compute.
#pragma once

#include <initializer_list>
#include <string_view>
#include <vector>

#include <starling/operators/config.hpp>
#include <starling/operators/operator.hpp>

namespace starling::operators {

/// Exactly these groups, in any order.
bool has_groups(const Config& config, std::initializer_list<std::string_view> names);
/// Features are a dense function of the current token and nothing else.
bool is_plain_projection(const GroupConfig& group);
/// The same through a Monarch matrix.
bool is_monarch_projection(const GroupConfig& group);
/// A plain projection, then a short depthwise causal convolution and the nonlinearity.
bool is_convolved_projection(const GroupConfig& group, Nonlinearity nonlinearity);

/// The matrix (group channels, inputs) named after its group.
TensorSpec projection_of(const Config& config, std::size_t group, std::int64_t inputs);
/// R and L of a Monarch matrix from inputs to group channels, named "v.right" and "v.left" for the group v.
std::vector<TensorSpec> monarch_projection_of(const Config& config, std::size_t group, std::int64_t inputs);
/// The taps (group channels, taps) of a convolved group, named after it.
TensorSpec taps_of(const Config& config, std::size_t group);
/// W_o (width, inner), named "out".
TensorSpec output_projection(std::int64_t width, std::int64_t inner);
/// R and L where it is a Monarch matrix, named "out.right" and "out.left"; Operator::output is then add_monarch_projection.
std::vector<TensorSpec> monarch_output_projection(std::int64_t width, std::int64_t inner);
at::Tensor add_monarch_projection(const at::Tensor& residual, const at::Tensor& mixed, const Tensors& own);

/// The vectors of a differential operator's λ (4, 16), named "lambda".
TensorSpec lambda_vectors();

/// A feature group and the bank slot of its projection; of a Monarch matrix the slot of R, L being in the next one.
struct GroupSlot {
  std::size_t group = 0;
  std::size_t slot = 0;
};
/// Projects `input` for those of `groups` that the call computes and puts the results among its features; one product
/// where dense matrices are neighbours.
void project_groups(const Call& call, const at::Tensor& input, std::initializer_list<GroupSlot> groups);

}  // namespace starling::operators
