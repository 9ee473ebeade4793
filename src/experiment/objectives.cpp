#include <starling/experiment/objectives.hpp>
