#include <starling/operators/functions/composed_attention.hpp>

#include <gtest/gtest.h>

#include <ATen/TensorOperators.h>

#include <starling/base/random.hpp>

#include "device.hpp"
#include "torch_support.hpp"

namespace starling::operators {
namespace {

using reference::largest_difference;
using reference::random_tensor;

TEST(AttentionOnADevice, IsThatOfTheCpuWhateverItsFormAndTypeAndItsKeysAndValues) {
  const auto device = device_under_test();
  for (const auto& [type, tolerance] : {std::pair{at::kFloat, 2e-4}, {at::kBFloat16, 0.1}}) {
    for (const auto& sight : {Sight{}, Sight{.window = 40}, Sight{.block = 64}}) {
      for (const auto& [heads, value_width] : {std::pair{Heads{4, 4, 4}, 32}, {Heads{4, 2, 2}, 32}, {Heads{4, 4, 2}, 64}}) {
        const Scores scores{.sight = sight};
        Stream stream(1, Purpose::test);
        const std::vector<at::Tensor> drawn{random_tensor({2, 300, 4 * 32}, stream), random_tensor({2, 300, heads.key * 32}, stream),
                                            random_tensor({2, 300, heads.value * value_width}, stream)};
        const auto dy = random_tensor({2, 300, 4 * value_width}, stream);
        // Output and gradients.
        const auto run = [&](const at::Device& where, at::ScalarType of_type) {
          std::vector<at::Tensor> leaves;
          // Whatever the type, from the same rounded numbers.
          for (const auto& tensor : drawn) leaves.push_back(tensor.to(type).to(of_type).to(where).set_requires_grad(true));
          const auto y = attention(leaves[0], leaves[1], leaves[2], heads, scores, true).y;
          y.backward(dy.to(type).to(of_type).to(where));
          std::vector<at::Tensor> found{y.detach().cpu()};
          for (const auto& leaf : leaves) found.push_back(leaf.grad().cpu());
          return found;
        };
        const auto expected = run(at::kCPU, at::kDouble);
        const auto found = run(device, type);
        for (std::size_t i = 0; i < expected.size(); ++i) {
          EXPECT_LT(largest_difference(found[i], expected[i]), tolerance * expected[i].abs().max().item<double>())
              << i << " window " << sight.window << " block " << sight.block << " heads " << heads.value << " " << c10::toString(type);
        }
      }
    }
  }
}

}  // namespace
}  // namespace starling::operators
