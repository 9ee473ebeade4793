#include <starling/actors/publisher.hpp>

#include <algorithm>

#include <starling/actors/role_count.hpp>
#include <starling/run/publisher.hpp>

namespace starling::actors {
namespace {

class PublisherRole {
 public:
  PublisherRole(PublisherActor::pointer self, const std::filesystem::path& directory, std::chrono::milliseconds pause,
                const EarlierEntries& earlier)
      : self_(self), view_(directory), pause_(pause) {
    if (earlier == nullptr) return;
    for (const auto& entry : *earlier) view_.add(entry);
  }

  void take(const EntryPtr& entry) {
    view_.add(*entry);
    fresh_ = true;
    schedule();
  }

  void interval_over() {
    scheduled_ = false;
    publish();
  }

  std::string publish() {
    if (!fresh_) return {};
    const auto start = std::chrono::steady_clock::now();
    try {
      view_.publish();
      fresh_ = false;
      error_.clear();
    } catch (const std::exception& error) {
      error_ = error.what();
      schedule();  // the records stay; perhaps there is room again later
    }
    took_ = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - start);
    return error_;
  }

 private:
  void schedule() {
    if (scheduled_) return;
    scheduled_ = true;
    self_->delayed_send(self_, std::max(pause_, 50 * took_), publish_atom_v);
  }

  RoleCount count_;
  PublisherActor::pointer self_;
  run::Publisher view_;
  std::chrono::milliseconds pause_;
  std::chrono::milliseconds took_{0};
  std::string error_;
  bool fresh_ = false;
  bool scheduled_ = false;
};

}  // namespace

PublisherActor::behavior_type publisher(PublisherActor::pointer self, std::filesystem::path directory, std::chrono::milliseconds pause,
                                        EarlierEntries earlier) {
  auto state = std::make_shared<PublisherRole>(self, directory, pause, earlier);
  return {
      [=](durable_atom, const EntryPtr& entry) { state->take(entry); },
      [=](publish_atom) { state->interval_over(); },
      [=](flush_atom) { return state->publish(); },
  };
}

}  // namespace starling::actors
