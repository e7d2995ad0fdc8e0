// One thread of another process under ptrace: what the system calls say, as values.
//
// All of it must happen on one thread of ours, which is its tracer. When that thread ends, the kernel lets the traced
// one go as it stands; so whatever is done here must leave it, at each moment, in a state from which it goes on well by
// itself (see BorrowedThread).
#ifndef CGOPROF_ADDON_TRACED_THREAD_H_
#define CGOPROF_ADDON_TRACED_THREAD_H_

#include <stdint.h>
#include <sys/types.h>
#include <sys/user.h>

#include <chrono>

#include "addon/signal_frame.h"

namespace cgoprof {

using Deadline = std::chrono::steady_clock::time_point;

class TracedThread {
 public:
  enum class Event {
    kStop,     // it was interrupted, or its process is stopped
    kSyscall,  // it is about to enter the kernel, or to leave it
    kSignal,   // it is about to get signal()
    kGone,     // it has ended
    kTimeout,
  };

  explicit TracedThread(pid_t tid) : tid_(tid) {}
  ~TracedThread();
  TracedThread(const TracedThread&) = delete;
  TracedThread& operator=(const TracedThread&) = delete;

  pid_t tid() const { return tid_; }
  int signal() const { return signal_; }

  // Whether its own instructions, or its system call, raised that signal.
  bool IsFault() const;

  // Begins to trace it; it goes on running. 0, or an errno.
  int Seize();

  // Asks it to stop where it is, which Wait tells.
  bool Interrupt() const;

  // The next thing that happens to it.
  Event Wait(Deadline deadline);

  // Lets it run: to the next system call's entry or exit, or freely. `signal`: delivered to it, 0 for none.
  bool RunToSyscall(int signal = 0);
  bool Run(int signal = 0);

  // Of a thread that is stopped.
  bool GetState(ThreadState* state) const;
  bool GetRegisters(user_regs_struct* registers) const;
  bool SetRegisters(const user_regs_struct& registers) const;
  bool SetExtended(const std::string& extended) const;
  bool SetSignalMask(uint64_t mask) const;

  // Lets it go for good, with a signal that it was about to get.
  void Detach(int signal = 0);

 private:
  const pid_t tid_;
  int signal_ = 0;
  bool traced_ = false;
};

}  // namespace cgoprof

#endif  // CGOPROF_ADDON_TRACED_THREAD_H_
