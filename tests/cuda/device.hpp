// What the tests of this program run on.
#pragma once

#include <ATen/core/Tensor.h>

namespace starling {

/// The first GPU, or what the program's argument names: on "cpu" everything is compared with itself.
at::Device device_under_test();

}  // namespace starling
