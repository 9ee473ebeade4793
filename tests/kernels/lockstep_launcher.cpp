#include "lockstep_launcher.hpp"

#include <setjmp.h>
#include <ucontext.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <stdexcept>
#include <system_error>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif

namespace starling::kernels {
namespace {

using device::Block;
using device::Lockstep;

enum class State { ready, at_warp, at_block, done };

constexpr std::size_t stack_bytes = 64 * 1024;

/// Threads as contexts of one thread of the CPU. A context is entered once by swapcontext, which calls the system, and from then on
/// by long jumps, which do not.
class Team {
 public:
  explicit Team(int threads) : members_(static_cast<std::size_t>(threads)) {
    for (auto& member : members_) member.stack.reset(new std::byte[stack_bytes]);
  }

  void run(device::Index index, std::size_t shared_bytes, Turns turns, const std::function<void(Block&)>& body) {
    body_ = &body;
    index_ = index;
    // Every float and double of 0xff bytes is a NaN.
    shared_.assign((shared_bytes + sizeof(Aligned) - 1) / sizeof(Aligned), Aligned{});
    for (auto& piece : shared_) std::memset(piece.bytes, 0xff, sizeof(piece.bytes));
    const int count = static_cast<int>(members_.size());
    for (int i = 0; i < count; ++i) begin(i);
    for (;;) {
      for (int turn = 0; turn < count; ++turn) {
        const int i = turns == Turns::ascending ? turn : count - 1 - turn;
        while (members_[i].state == State::ready) resume(i);
      }
      if (!release()) break;
    }
  }

 private:
  struct alignas(16) Aligned {
    unsigned char bytes[16];
  };
  struct Member final : Lockstep {
    Team* team = nullptr;
    int number = 0;
    State state = State::done;
    bool entered = false;
    // What was given the last two times: who is one ahead does not overwrite what others still read.
    double given[2][8] = {};
    int turn = 0;
    std::unique_ptr<std::byte[]> stack;
    ucontext_t context{};
    jmp_buf place{};

    void wait_for_block() override { team->pause(*this, State::at_block); }
    void give(const double* values, int count) override {
      turn = 1 - turn;
      std::copy_n(values, count, given[turn]);
      team->pause(*this, State::at_warp);
    }
    const double* given_by(int thread) const override { return team->members_[static_cast<std::size_t>(thread)].given[turn]; }
  };

  static void enter(unsigned high, unsigned low) {
    auto* const member = reinterpret_cast<Member*>(static_cast<std::uintptr_t>(high) << 32 | low);
    member->team->arrived(nullptr);
    member->team->work(*member);
    member->team->pause(*member, State::done);
  }

  void work(Member& member) {
    Block block{index_, member.number, static_cast<int>(members_.size()), shared_.empty() ? nullptr : shared_.data()->bytes, &member};
    (*body_)(block);
  }

  void begin(int i) {
    Member& member = members_[static_cast<std::size_t>(i)];
    member.team = this;
    member.number = i;
    member.state = State::ready;
    member.entered = false;
    member.turn = 0;
    getcontext(&member.context);
    member.context.uc_stack.ss_sp = member.stack.get();
    member.context.uc_stack.ss_size = stack_bytes;
    member.context.uc_link = nullptr;
    const auto address = reinterpret_cast<std::uintptr_t>(&member);
    makecontext(&member.context, reinterpret_cast<void (*)()>(&Team::enter), 2, static_cast<unsigned>(address >> 32),
                static_cast<unsigned>(address));
  }

  // The sanitizer is told which stack is in use.
  void leaving([[maybe_unused]] void** kept, [[maybe_unused]] const void* stack, [[maybe_unused]] std::size_t bytes) {
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_start_switch_fiber(kept, stack, bytes);
#endif
  }
  void arrived([[maybe_unused]] void* kept) {
#if defined(__SANITIZE_ADDRESS__)
    const void* from = nullptr;
    std::size_t bytes = 0;
    __sanitizer_finish_switch_fiber(kept, &from, &bytes);
    if (!main_stack_) main_stack_ = from, main_bytes_ = bytes;
#endif
  }

  void resume(int i) {
    Member& member = members_[static_cast<std::size_t>(i)];
    void* kept = nullptr;
    leaving(&kept, member.stack.get(), stack_bytes);
    if (_setjmp(place_) == 0) {
      if (member.entered) _longjmp(member.place, 1);
      member.entered = true;
      if (swapcontext(&main_, &member.context) != 0) throw std::system_error(errno, std::generic_category(), "swapcontext");
    }
    arrived(kept);
  }

  void pause(Member& member, State state) {
    member.state = state;
    void* kept = nullptr;
    leaving(state == State::done ? nullptr : &kept, main_stack_, main_bytes_);
    if (_setjmp(member.place) == 0) _longjmp(place_, 1);
    arrived(kept);
  }

  /// Lets those pass who wait where all others wait too or are done; false where everybody is done.
  bool release() {
    bool released = false;
    bool all_at_block = true;
    bool all_done = true;
    for (std::size_t first = 0; first < members_.size(); first += device::warp) {
      const std::size_t end = std::min(first + device::warp, members_.size());
      bool all_at_warp = true;
      for (std::size_t i = first; i < end; ++i) {
        all_at_warp = all_at_warp && members_[i].state == State::at_warp;
        all_at_block = all_at_block && members_[i].state == State::at_block;
        all_done = all_done && members_[i].state == State::done;
      }
      if (!all_at_warp) continue;
      for (std::size_t i = first; i < end; ++i) members_[i].state = State::ready;
      released = true;
    }
    if (all_at_block)
      for (auto& member : members_) member.state = State::ready;
    if (all_done) return false;
    if (!released && !all_at_block) throw std::logic_error("threads of a block wait at different barriers");
    return true;
  }

  std::vector<Member> members_;
  std::vector<Aligned> shared_;
  const std::function<void(Block&)>* body_ = nullptr;
  device::Index index_ = 0;
  ucontext_t main_{};
  jmp_buf place_{};
  const void* main_stack_ = nullptr;
  std::size_t main_bytes_ = 0;
};

}  // namespace

void run_block(device::Index index, int threads, std::size_t shared_bytes, Turns turns, const std::function<void(Block&)>& body) {
  static std::unique_ptr<Team> team;
  static int members = 0;
  if (members != threads) {
    team = std::make_unique<Team>(threads);
    members = threads;
  }
  team->run(index, shared_bytes, turns, body);
}

}  // namespace starling::kernels
