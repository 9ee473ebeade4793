#include <starling/operators/functions/device.hpp>

#include <stdexcept>
#include <string>

namespace starling::operators {

void refuse_device(const at::Tensor& where) {
  throw std::invalid_argument("this build has no form of a kernel for tensors on " + where.device().str());
}

}  // namespace starling::operators
