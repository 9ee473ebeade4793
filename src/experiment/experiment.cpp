#include <starling/experiment/experiment.hpp>
