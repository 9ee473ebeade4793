#include <starling/genome/accounting.hpp>
