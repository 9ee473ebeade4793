#include <starling/operators/parameter.hpp>
