#include <starling/training/batch_feed.hpp>

#include <algorithm>
#include <utility>

#include <starling/model/series_ends.hpp>
#include <starling/operators/functions/cross_entropy.hpp>
#include <starling/training/micro_batches.hpp>

namespace starling::training {

BatchFeed::BatchFeed(const tasks::Task& task, const Plan& plan) : task_(task), plan_(plan) {
  if (plan_.ahead) thread_ = std::thread([this] { work(); });
}

BatchFeed::~BatchFeed() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    ended_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

BatchFeed::Ready BatchFeed::next() {
  Made made;
  if (plan_.ahead) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return !made_.empty(); });
    if (made_.front().error) std::rethrow_exception(made_.front().error);
    made = std::move(made_.front());
    made_.pop_front();
    lock.unlock();
    changed_.notify_all();
  } else {
    made = make(step_);
  }
  ++step_;
  if (made.unsent.inputs.defined()) made.sending = Sending({made.unsent.inputs, made.unsent.targets}, plan_.device);
  const auto& there = made.sending.take();
  return {{there[0], there[1]}, made.counted, made.unlearned};
}

BatchFeed::Made BatchFeed::make(std::int64_t step) const {
  const tasks::Batch batch = task_.training_batch(plan_.seed, step, plan_.sequences);
  // On a device nobody looks at them any more.
  if (!plan_.device.is_cpu() && batch.targets.scalar_type() == at::kLong) operators::check_targets(batch.targets, task_.vocabulary());
  Made made;
  made.counted = tasks::counted_targets(batch.targets);
  if (batch.targets.is_floating_point()) {
    const auto errors = model::squared_errors(batch.inputs, batch.targets);
    made.unlearned = errors.sum / static_cast<double>(std::max<std::int64_t>(1, errors.count));
  }
  try {
    made.sending = Sending({batch.inputs, batch.targets}, plan_.device);
  } catch (const std::exception& error) {
    if (!is_out_of_memory(error)) throw;
    made.unsent = batch;
  }
  return made;
}

void BatchFeed::work() {
  for (std::int64_t step = 0; step < plan_.steps; ++step) {
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [&] { return ended_ || made_.size() < most; });
      if (ended_) return;
    }
    Made made;
    try {
      made = make(step);
    } catch (...) {
      made.error = std::current_exception();
    }
    const bool failed = made.error != nullptr;
    {
      const std::lock_guard lock(mutex_);
      made_.push_back(std::move(made));
    }
    changed_.notify_all();
    if (failed) return;
  }
}

}  // namespace starling::training
