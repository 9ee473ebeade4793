#include <starling/genome/genome.hpp>
