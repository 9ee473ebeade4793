#include <starling/run/summary.hpp>
