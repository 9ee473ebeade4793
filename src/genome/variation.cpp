#include <starling/genome/variation.hpp>
