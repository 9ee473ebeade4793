#include <starling/operators/operator.hpp>

#include <starling/operators/functions/linear.hpp>

namespace starling::operators {

at::Tensor Operator::output(const at::Tensor& residual, const at::Tensor& mixed, const Tensors& own) const {
  return add_projection(residual, mixed, own[0]);
}

}  // namespace starling::operators
