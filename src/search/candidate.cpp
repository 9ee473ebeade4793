#include <starling/search/candidate.hpp>
