#include <starling/run/publisher.hpp>
