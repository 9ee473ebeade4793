#include <starling/run/checkpoint.hpp>
