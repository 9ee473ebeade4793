// What a worker can train on.
#pragma once

#include <string>
#include <vector>

namespace starling::worker {

struct Gpus {
  std::vector<std::string> names;  ///< "cuda:0", …
  std::string why_none;            ///< where there are none: "this Starling is built for the CPU alone, with LibTorch 1.13.1"
};
Gpus gpus();

/// `starling-worker devices`: {"gpus": [names], "why_none": text}. Returns the exit code.
int print_devices();

}  // namespace starling::worker
