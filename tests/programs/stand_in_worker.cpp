// Stands in for starling-worker beside a copy of `starling`: a real worker process with a real evaluator, on devices that this machine need
// not have and without LibTorch. What it evaluates follows from the genome alone.
//
// STAND_IN_GPUS       what `devices` prints
// STAND_IN_CALLS      a file that the arguments of every call are appended to
// STAND_IN_BEHAVIOUR  what goes wrong where: "cuda:1=crash cuda:0=after:device_given_up"
//   crash, crash-once      ends by a signal in the middle of an evaluation, always or the first time
//   error, error-once      the device fails in the middle of an evaluation
//   full                   an evaluation runs out of memory
//   unready                ends before it is ready
//   broken                 cannot begin
//   diverge                all candidates diverge but the baselines
//   elsewhere              finds another validation part than the others, and evaluates nothing
//   after:KIND, after:KIND*3   evaluates nothing before the journal has a record of that kind, or three
#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <string_view>
#include <thread>

#include <starling/actors/worker.hpp>
#include <starling/base/error.hpp>
#include <starling/experiment/experiment.hpp>

namespace starling {
namespace {

std::string variable(const char* name) {
  const char* const value = std::getenv(name);
  return value == nullptr ? "" : value;
}

std::string behaviour_on(const std::string& device) {
  std::istringstream words(variable("STAND_IN_BEHAVIOUR"));
  for (std::string word; words >> word;) {
    if (word.starts_with(device + "=")) return word.substr(device.size() + 1);
  }
  return "";
}

/// `what` is "KIND" or "KIND*3"; each record names its kind once.
bool is_recorded(const std::filesystem::path& run, std::string_view what) {
  const auto kind = what.substr(0, what.find('*'));
  auto missing = kind.size() == what.size() ? 1 : what.back() - '0';
  std::ifstream stream(run / "journal", std::ios::binary);
  const std::string journal{std::istreambuf_iterator<char>(stream), {}};
  for (auto at = journal.find(kind); at != std::string::npos && missing > 0; at = journal.find(kind, at + 1)) --missing;
  return missing == 0;
}

/// True for the first worker process of this device that asks.
bool is_first(const std::filesystem::path& run, const std::string& device) {
  return std::filesystem::create_directory(run / ("failed on " + device));
}

run::EvaluationRecorded judge(const actors::Job& job, std::size_t objectives) {
  run::EvaluationRecorded record;
  record.loss = 1;
  for (const auto& liv : job.genome.livs) record.loss += 0.125 * liv.liv_class;
  for (std::size_t i = 0; i < objectives; ++i) record.outcome.objectives.push_back(i == 0 ? record.loss : 10 - record.loss);
  record.steps = 1;
  record.tokens = job.tokens > 0 ? job.tokens : 1;
  record.started_utc = run::now_utc();
  record.duration_s = 0.25;
  return record;
}

void go_wrong(const std::string& behaviour, const std::filesystem::path& run, const std::string& device, const std::atomic<bool>& stop) {
  constexpr std::string_view after = "after:";
  const bool once = behaviour.ends_with("-once");
  if (once && !is_first(run, device)) return;
  if (behaviour.starts_with("crash")) {
    // Another thread still sends that the evaluation has begun: what has not costs no attempt.
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
    kill(getpid(), SIGKILL);
  }
  if (behaviour.starts_with("error")) throw actors::DeviceError("CUDA error: an illegal memory access was encountered");
  if (behaviour == "full") throw std::runtime_error("CUDA out of memory");
  while (behaviour == "elsewhere" && !stop) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  while (behaviour.starts_with(after) && !is_recorded(run, behaviour.substr(after.size())) && !stop) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
}

actors::Workshop make_workshop(const std::string& experiment_toml, const std::string& run, const std::string& device) {
  const auto behaviour = behaviour_on(device);
  if (behaviour == "broken") throw std::runtime_error("CUDA error: all devices are busy or unavailable");
  const auto objectives = experiment::parse(experiment_toml, "experiment.toml").search.objectives.size();
  actors::Workshop workshop;
  workshop.references.push_back({.name = "unigram", .loss = behaviour == "elsewhere" ? 3.0 : 2.0, .bits_per_byte = 1});
  workshop.evaluate = [=](const actors::Job& job, const std::atomic<bool>& stop, const std::function<void(const actors::Progress&)>&) {
    go_wrong(behaviour, run, device, stop);
    auto record = judge(job, objectives);
    if (behaviour == "diverge" && job.id > 2) record.outcome = {.id = job.id, .status = search::Status::diverged, .objectives = {}};
    return record;
  };
  return workshop;
}

int work(const std::string& name, const std::string& device) {
  if (behaviour_on(device) == "unready") return 3;
  return actors::run_worker(name, device,
                            [&](const std::string& toml, const std::string& run) { return make_workshop(toml, run, device); });
}

}  // namespace
}  // namespace starling

int main(int count, char** arguments) {
  const std::vector<std::string> words(arguments + 1, arguments + count);
  if (const auto calls = starling::variable("STAND_IN_CALLS"); !calls.empty()) {
    std::string line;
    for (const auto& word : words) line += word + " ";
    std::ofstream(calls, std::ios::app) << line + "\n";
  }
  if (words.size() == 4 && words[0] == "worker" && words[2] == "--device") return starling::work(words[1], words[3]);
  if (words == std::vector<std::string>{"devices"}) return std::puts(starling::variable("STAND_IN_GPUS").c_str()) < 0 ? 1 : 0;
  if (words == std::vector<std::string>{"doctor", "--json"}) {
    std::puts(R"({"cores": 4, "f32_gflops_one_thread": 100, "bf16_gflops_one_thread": 400,
                  "gflops": {"cuda:0": {"f32": 50000, "bf16": 700000}, "cuda:1": {"f32": 40000, "bf16": 600000}}})");
    return 0;
  }
  std::fputs("stand-in: such a call was not expected\n", stderr);
  return 2;
}
