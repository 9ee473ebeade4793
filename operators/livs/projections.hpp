// What the families' sources share: declaring projected feature groups and computing those that a LIV has to compute.
#pragma once

#include <initializer_list>
#include <string_view>
#include <vector>

#include <starling/operators/config.hpp>
#include <starling/operators/functions/history.hpp>
#include <starling/operators/operator.hpp>

namespace starling::operators {

/// Exactly these groups, in any order.
bool has_groups(const Config& config, std::initializer_list<std::string_view> names);
/// A projected group in all its forms: a diagonal, dense, grouped or Monarch function of its input, then a short depthwise causal
/// convolution where it has one, then a pointwise nonlinearity.
bool is_projected(const Config& config, const GroupConfig& group);

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

/// What the sparsity lets a token see.
Sight sight_of(const Config& config);

/// The vectors of a differential operator's λ (4, 16), named "lambda".
TensorSpec lambda_vectors();

/// The projected groups that are functions of one input.
class ProjectedGroups {
 public:
  /// Appends the weight of a group that is_projected to the bank: dense ones that are neighbours are one product. A diagonal
  /// projection is a factor per channel; a grouped one has config.blocks blocks (blocks, channels / blocks, width / blocks); a
  /// Monarch matrix has two factors.
  void declare(const Config& config, std::size_t group, std::vector<TensorSpec>& bank);
  /// The same for a dense matrix that the operator makes more of (A of a selective recurrence).
  void declare(TensorSpec dense, std::vector<TensorSpec>& bank);
  /// Appends the taps of the groups so far that have a convolution.
  void declare_taps(const Config& config, std::vector<TensorSpec>& bank);
  /// Appends what the convolutions of the groups in `computes` keep: their last taps − 1 inputs.
  void declare_tails(GroupMask computes, std::vector<StateSpec>& state) const;

  /// Puts the groups that the call computes among its features. `tails`: as declared, or null where there is no state; what
  /// follows them is returned.
  const at::Tensor* compute(const Call& call, const at::Tensor& input, const at::Tensor* tails) const;

 private:
  struct Part {
    std::string name;
    std::size_t group = 0;
    std::size_t slot = 0;
    ChannelMixing channel_mixing = ChannelMixing::dense;
    Nonlinearity nonlinearity = Nonlinearity::none;
    std::int64_t channels = 0;
    std::int64_t taps = 0;  ///< 0 for no convolution
    std::size_t taps_slot = 0;
  };
  std::vector<Part> parts_;
};

}  // namespace starling::operators
