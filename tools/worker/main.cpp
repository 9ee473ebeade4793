// starling-worker: everything that needs LibTorch. `starling` starts it: `worker NAME` and `devices` for searches, the rest for the commands
// of the same name.
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <cstdio>
#include <cstring>
#include <exception>
#include <string>

#include <starling/actors/worker.hpp>
#include <starling/base/error.hpp>
#include <starling/training/device.hpp>
#include <starling/training/process.hpp>

#include "devices.hpp"
#include "doctor.hpp"
#include "generate.hpp"
#include "workshop.hpp"

namespace {

int usage() {
  std::fputs(
      "usage: starling-worker worker NAME [--device cpu|cuda:N]   (started by 'starling run')\n"
      "       starling-worker devices   (the GPUs that LibTorch sees, as JSON)\n"
      "       starling-worker doctor [--json]\n"
      "       starling-worker generate OPTIONS CHECKPOINT PROMPT   (started by 'starling generate')\n",
      stderr);
  return 2;
}

}  // namespace

int main(int count, char** arguments) {
  if (count < 2) return usage();
  try {
    starling::training::tune_process(1);
    const bool on_device = count == 5 && std::strcmp(arguments[3], "--device") == 0;
    if (std::strcmp(arguments[1], "worker") == 0 && (count == 3 || on_device)) {
      // Standard error of a worker is its log in the run directory.
      spdlog::set_default_logger(spdlog::stderr_logger_mt(arguments[2]));
      spdlog::set_pattern("%Y-%m-%dT%H:%M:%S.%e%z %n %l: %v");
      const std::string device = on_device ? arguments[4] : "cpu";
      starling::training::device_named(device);  // throws where there is no such one
      return starling::actors::run_worker(arguments[2], device, [device](const std::string& experiment, const std::string& directory) {
        return starling::worker::make_workshop(experiment, directory, device);
      });
    }
    if (std::strcmp(arguments[1], "devices") == 0 && count == 2) return starling::worker::print_devices();
    const bool json = count == 3 && std::strcmp(arguments[2], "--json") == 0;
    if (std::strcmp(arguments[1], "doctor") == 0 && (count == 2 || json)) return starling::worker::doctor(json);
    if (std::strcmp(arguments[1], "generate") == 0 && count == 5) {
      return starling::worker::generate(arguments[2], arguments[3], arguments[4]);
    }
    return usage();
  } catch (const starling::UserError& error) {
    std::fprintf(stderr, "starling-worker: %s\n", error.what());
    return 2;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "starling-worker: %s\n", error.what());
    return 1;
  }
}
