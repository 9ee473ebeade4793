#include <starling/model/model.hpp>
