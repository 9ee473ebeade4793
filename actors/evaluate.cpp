#include <starling/actors/evaluate.hpp>
