#include <starling/search/steady_state.hpp>
