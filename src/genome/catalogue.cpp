#include <starling/genome/catalogue.hpp>
