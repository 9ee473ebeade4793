// Who computes what: the evaluators with the work they ask for, and the leases that are out. Shared by the roles that hand out work; each
// says itself what the work is and what its end means.
//
// A lease is (id, attempt). Its deadline runs from the moment it is started; a passed deadline or a lost evaluator costs one attempt, which
// is recorded; a lease that was not started returns without cost. What was lost on one device goes to another where there is one, also if it
// has yet to begin, until the first has finished something: a broken device is to cost no candidate more than one attempt.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>

#include <starling/actors/interfaces.hpp>

namespace starling::actors {

/// A deadline is so many times what a training takes on the average.
inline constexpr int deadline_factor = 4;

class Leases {
 public:
  struct Owner {
    std::function<void(std::uint64_t id)> take_back;  ///< a lease came back that was not started
    std::function<void()> pump;                       ///< perhaps work can be handed out now
  };
  struct Wiring {
    RecorderActor recorder;
    ControlActor control;
    std::set<std::string> devices;  ///< that evaluators have come from or will come from
  };

  /// Takes the down handler of `self`. A deadline is max(`least_deadline`, deadline_factor × the mean of what was noted by took()).
  Leases(PopulationActor::pointer self, Wiring wiring, std::chrono::milliseconds least_deadline, Owner owner);

  // --- messages of evaluators, and deadlines
  void demand(const std::string& worker, const std::string& device, const EvaluatorActor& front, std::uint32_t credit);
  void started(std::uint64_t id, std::uint32_t attempt);
  void returned(std::uint64_t id, std::uint32_t attempt);
  void lost(std::uint64_t id, std::uint32_t attempt, const std::string& reason);
  void deadline_passed(std::uint64_t id, std::uint32_t attempt);

  // --- what the owner does
  /// Whether an evaluator waits for work.
  bool wanted() const;
  /// Whether one waits that this may be handed out to.
  bool wanted(std::uint64_t id) const;
  bool holds(std::uint64_t id) const { return leases_.contains(id); }
  /// To the evaluator that may have it and holds the fewest leases; there must be one.
  void hand_out(Job job);
  /// The result of `attempt` is durable: the lease is over. Where it came from an expired lease, a later attempt may be under way: nobody
  /// needs that any more.
  void settle(std::uint64_t id, std::uint32_t attempt);
  void took(double seconds);
  /// Nothing is left to hand out and somebody would be idle: take a prefetched lease from one who is busy.
  void recall_for_the_idle();
  /// Nobody comes from this device any more.
  void give_up(const std::string& device);
  /// Tells every evaluator to end, those that come later too.
  void stop();
  bool stopped() const { return stopped_; }

 private:
  struct Front {
    EvaluatorActor front;
    std::string worker;
    std::string device;
    std::uint32_t credit = 0;  ///< candidates it waits for
  };
  struct Lease {
    std::uint32_t attempt = 0;
    caf::actor_addr evaluator;
    std::string worker;
    std::string device;
    bool started = false;
    caf::actor_clock::time_point due{};  ///< once it is started
    bool recalled = false;
  };
  using Fronts = std::map<caf::actor_addr, Front>;
  using Table = std::map<std::uint64_t, Lease>;

  Fronts::const_iterator hungriest(std::optional<std::uint64_t> id = {}) const;
  bool avoids(const std::string& device, std::uint64_t id) const;
  std::size_t held(const caf::actor_addr& evaluator) const;
  Table::iterator find(std::uint64_t id, std::uint32_t attempt);
  void evaluator_down(const caf::actor_addr& address);
  void lose(Table::iterator lease, const std::string& reason);
  std::chrono::milliseconds deadline() const;

  PopulationActor::pointer self_;
  Wiring wiring_;
  std::chrono::milliseconds least_deadline_;
  Owner owner_;
  Fronts evaluators_;
  Table leases_;
  std::map<std::uint64_t, std::set<std::string>> lost_on_;  ///< devices that have finished nothing since
  double total_duration_s_ = 0;
  std::uint64_t durations_ = 0;
  bool stopped_ = false;
};

/// The behaviour of a role that hands out work: `role` has durable(entry), begin() and leases().
template <class Role>
PopulationActor::behavior_type leasing_behavior(std::shared_ptr<Role> role) {
  return {
      [=](durable_atom, const EntryPtr& entry) { role->durable(entry); },
      [=](demand_atom, const std::string& worker, const std::string& device, const EvaluatorActor& front, std::uint32_t credit) {
        role->leases().demand(worker, device, front, credit);
      },
      [=](started_atom, const std::string&, std::uint64_t id, std::uint32_t attempt) { role->leases().started(id, attempt); },
      [=](returned_atom, const std::string&, std::uint64_t id, std::uint32_t attempt) { role->leases().returned(id, attempt); },
      [=](lost_atom, const std::string&, std::uint64_t id, std::uint32_t attempt, const std::string& reason) {
        role->leases().lost(id, attempt, reason);
      },
      [=](deadline_atom, std::uint64_t id, std::uint32_t attempt) { role->leases().deadline_passed(id, attempt); },
      [=](begin_atom) { role->begin(); },
      [=](stop_atom) { role->leases().stop(); },
  };
}

}  // namespace starling::actors
