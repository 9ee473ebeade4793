#include <starling/genome/validity.hpp>
