// Writes a sample run for checks from outside: write_sample_run DIRECTORY CANDIDATES CURVE_POINTS PUBLISH_EVERY.
// Publishes run.h5 after every PUBLISH_EVERY records and at the end; 0 rebuilds it from the journal in one go instead. Also one checkpoint.
#include <cmath>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <limits>
#include <numeric>

#include <starling/run/checkpoint.hpp>
#include <starling/run/journal.hpp>
#include <starling/run/publisher.hpp>

#include "sample_run.hpp"

namespace {

using namespace starling::run;

void write_sample_checkpoint(const std::filesystem::path& directory) {
  std::vector<float> ramp(6);
  std::iota(ramp.begin(), ramp.end(), 0.5f);
  const std::vector<float> odd{-0.0f, std::numeric_limits<float>::infinity(), std::nanf("")};
  const std::vector<ArrayView> weights{{"livs.0.bank.q", {2, 3}, ramp.data()}, {"livs.0.z", {3}, odd.data()}, {"lambda", {}, ramp.data()}};
  write_checkpoint(directory, {7, "21211-31112", "name = \"sample\"\n", 100}, weights);
}

void write_run(const std::filesystem::path& directory, const testing::SampleSize& size, std::size_t publish_every) {
  auto journal = Journal::create(directory / "journal");
  Publisher publisher(directory);
  for (const auto& record : testing::sample_run(size)) {
    const auto seq = journal.append(record);
    if (publish_every == 0) continue;
    publisher.add({seq, record});
    if (seq % publish_every == 0) publisher.publish();
  }
  journal.sync();
  if (publish_every == 0) {
    for (const auto& entry : read_journal(directory / "journal").entries) publisher.add(entry);
  }
  publisher.publish();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) {
    std::cerr << "write_sample_run DIRECTORY CANDIDATES CURVE_POINTS PUBLISH_EVERY\n";
    return 2;
  }
  try {
    const auto number = [&](int i) { return static_cast<std::size_t>(std::strtoull(argv[i], nullptr, 10)); };
    write_run(argv[1], {number(2), number(3), 8}, number(4));
    write_sample_checkpoint(argv[1]);
  } catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return 1;
  }
}
