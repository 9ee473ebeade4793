// Programs with this file take a processor for one without instructions for products of bfloat16 where STARLING_TEST_WITHOUT_BFLOAT16 is set:
// what machines of both kinds find is tested on each.
#include <cstdlib>

#include <starling/operators/functions/product.hpp>

namespace {

const bool pretends = [] {
  const bool wanted = std::getenv("STARLING_TEST_WITHOUT_BFLOAT16") != nullptr;
  if (wanted) starling::operators::pretend_no_bfloat16_products(true);
  return wanted;
}();

}  // namespace
