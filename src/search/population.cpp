#include <starling/search/population.hpp>
