// Signals that ask a command to end, taken when it is ready for them.
#pragma once

#include <signal.h>
#include <time.h>

namespace starling::tools {

/// Signals that ask for the end, blocked in every thread and taken one by one.
class EndSignals {
 public:
  EndSignals() {
    sigemptyset(&set_);
    for (const int number : {SIGINT, SIGTERM, SIGUSR1}) sigaddset(&set_, number);
    // The terminal is gone; under nohup that is to be ignored.
    struct sigaction hangup {};
    if (sigaction(SIGHUP, nullptr, &hangup) == 0 && hangup.sa_handler != SIG_IGN) sigaddset(&set_, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &set_, &before_);
  }
  ~EndSignals() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  EndSignals(const EndSignals&) = delete;
  EndSignals& operator=(const EndSignals&) = delete;

  /// The signal that is pending, or 0.
  int take() const {
    const timespec now{};
    const int number = sigtimedwait(&set_, nullptr, &now);
    return number > 0 ? number : 0;
  }

  /// Thrown by raise().
  struct Taken {
    int signal;
  };
  /// Throws Taken where one is pending.
  void raise() const {
    if (const int number = take(); number != 0) throw Taken{number};
  }

 private:
  sigset_t set_{};
  sigset_t before_{};
};

/// Of a command that such a signal ended: 130 after Ctrl-C, else 143.
inline int exit_code_of(int signal) { return signal == SIGINT ? 130 : 143; }

}  // namespace starling::tools
