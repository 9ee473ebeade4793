#include <starling/run/records.hpp>
