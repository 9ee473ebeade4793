#include <starling/search/breeding.hpp>
