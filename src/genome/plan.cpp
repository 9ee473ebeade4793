#include <starling/genome/plan.hpp>
