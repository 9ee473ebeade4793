// What actors say to each other. Floating-point numbers never travel as such (the serializer of CAF 0.17 loops on infinities and changes NaN):
// records go as their journal encoding, which keeps every bit; progress carries the bits of its loss.
#pragma once

#include <caf/all.hpp>

#include <atomic>
#include <bit>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <starling/actors/evaluate.hpp>
#include <starling/run/journal.hpp>
#include <starling/search/breeding.hpp>

namespace starling::actors {

/// A durable record with its place in the journal, as the recorder hands it to its listeners.
using EntryPtr = std::shared_ptr<const run::JournalEntry>;
using RecordPtr = std::shared_ptr<const run::Record>;
using SnapshotPtr = std::shared_ptr<const search::Snapshot>;
using ParentsPtr = std::shared_ptr<const search::Parents>;
using StopFlag = std::shared_ptr<std::atomic<bool>>;

/// Breed candidate `index` from this picture of the population; `attempt` counts the proposals of the index that were refused.
struct Breed {
  std::uint64_t index = 0;
  std::uint32_t attempt = 0;
  SnapshotPtr snapshot;
};

struct Mutate {
  std::uint64_t index = 0;
  std::uint32_t attempt = 0;
  ParentsPtr parents;
};

/// How a worker introduces itself.
struct WorkerHello {
  std::string token;  ///< one-time secret that came by pipe
  std::string worker;
  std::string host;
  std::string device;
  std::int64_t pid = 0;
};

/// A record on its way between processes.
template <class T>
struct Wire {
  T record;
};
using EvaluationMessage = Wire<run::EvaluationRecorded>;
using TestMessage = Wire<run::TestRecorded>;
using RetrainingMessage = Wire<run::RetrainingRecorded>;
using ReferenceMessage = Wire<run::ReferenceLoss>;

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, WorkerHello& x) {
  return f(caf::meta::type_name("WorkerHello"), x.token, x.worker, x.host, x.device, x.pid);
}

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, Job& x) {
  std::string text;
  if constexpr (Inspector::reads_state) text = genome::to_text(x.genome);
  const auto load = [&]() -> caf::error {
    try {
      x.genome = genome::parse_genome(text);
    } catch (const std::exception&) {
      return caf::sec::invalid_argument;
    }
    return caf::none;
  };
  return f(caf::meta::type_name("Job"), x.id, x.attempt, x.training_seed, text, x.width, x.tokens, x.test_of,
           caf::meta::load_callback(load));
}

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, Progress& x) {
  std::uint64_t bits = std::bit_cast<std::uint64_t>(x.loss);
  const auto load = [&]() -> caf::error {
    x.loss = std::bit_cast<double>(bits);
    return caf::none;
  };
  return f(caf::meta::type_name("Progress"), x.id, x.step, x.steps, bits, caf::meta::load_callback(load));
}

template <class Inspector, class T>
typename Inspector::result_type inspect(Inspector& f, Wire<T>& x) {
  std::vector<std::uint8_t> bytes;
  if constexpr (Inspector::reads_state) bytes = run::encode(run::Record{x.record});
  const auto load = [&]() -> caf::error {
    try {
      x.record = std::get<T>(run::decode(bytes));
    } catch (const std::exception&) {
      return caf::sec::invalid_argument;
    }
    return caf::none;
  };
  return f(caf::meta::type_name("Wire"), bytes, caf::meta::load_callback(load));
}

}  // namespace starling::actors

// Messages that stay inside one process.
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(starling::actors::EntryPtr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(starling::actors::RecordPtr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(starling::actors::StopFlag)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(starling::actors::Breed)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(starling::actors::Mutate)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(starling::search::Candidate)
