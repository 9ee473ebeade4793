// A made-up but consistent run with every kind of record in it, the same for the same arguments.
#pragma once

#include <vector>

#include <starling/base/random.hpp>
#include <starling/run/journal.hpp>
#include <starling/run/records.hpp>

namespace starling::run::testing {

struct SampleSize {
  std::size_t candidates = 60;
  std::size_t curve_points = 20;
  std::uint64_t population = 8;
};

std::vector<Record> sample_run(const SampleSize& size = {}, std::uint64_t seed = 1);
std::vector<JournalEntry> as_entries(const std::vector<Record>& records);

}  // namespace starling::run::testing
