#include <starling/training/trainer.hpp>
