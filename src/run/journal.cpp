#include <starling/run/journal.hpp>
