#include <starling/search/pareto.hpp>
