// Keeps signal handlers from running in the calling thread for a while.
#ifndef CGOPROF_PRELOAD_SIGNALS_HELD_BACK_H_
#define CGOPROF_PRELOAD_SIGNALS_HELD_BACK_H_

#include <signal.h>
#include <stdint.h>

#include "preload/raw_syscall.h"

namespace cgoprof {

// While it lives, no signal handler runs in this thread: one that jumped out (siglongjmp) or ended the thread would
// leave work half done and its lock held. Signals that the kernel raises for what the code itself does are let through:
// blocked, they would kill the program.
class SignalsHeldBack {
 public:
  SignalsHeldBack() {
    const Mask faults = Bit(SIGBUS) | Bit(SIGFPE) | Bit(SIGILL) | Bit(SIGSEGV) | Bit(SIGSYS) | Bit(SIGTRAP);
    const Mask held_back = ~faults;
    Set(SIG_BLOCK, &held_back, &before_);
  }
  ~SignalsHeldBack() { Set(SIG_SETMASK, &before_, nullptr); }
  SignalsHeldBack(const SignalsHeldBack&) = delete;
  SignalsHeldBack& operator=(const SignalsHeldBack&) = delete;

 private:
  using Mask = uint64_t;  // the kernel's: signals 1 to 64

  static constexpr Mask Bit(int signal) { return Mask{1} << (signal - 1); }
  static void Set(int how, const Mask* mask, Mask* before) {
    RawSyscall(SYS_rt_sigprocmask, how, PointerArg(mask), PointerArg(before), sizeof(Mask));
  }

  Mask before_ = 0;
};

}  // namespace cgoprof

#endif  // CGOPROF_PRELOAD_SIGNALS_HELD_BACK_H_
