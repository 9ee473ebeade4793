#include <starling/genome/baselines.hpp>
