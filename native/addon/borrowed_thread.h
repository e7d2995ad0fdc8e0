// Borrows a stopped thread of another process for a few calls, and gives it back as it was.
//
// Whoever borrows may be killed at any moment, and the thread then goes on from where it stands. So before anything
// else a signal frame that restores the thread is written below its stack pointer, and whatever the thread is made to
// run returns into that frame: to itself it was interrupted by a signal, for which the kernel uses the same place of
// its stack.
//
//   own stack     [ frame | red zone | what was there ]     system calls: `syscall; ret`, and the frame's restorer
//   its own area  [ stack ...  frame ]                      calls of functions: they return to the frame's restorer
//
// No code is written, none but libc's is run, and no break point is set.
//
// What a frame cannot restore is how long the thread still had to wait: the kernel forgets that when a frame is
// returned from. So in the end, if the tool still lives, the thread is led out of the call before the restorer's, and
// the registers are put back from here.
#ifndef CGOPROF_ADDON_BORROWED_THREAD_H_
#define CGOPROF_ADDON_BORROWED_THREAD_H_

#include <stdint.h>

#include <string>

#include "addon/remote_process.h"
#include "addon/signal_frame.h"
#include "addon/traced_thread.h"

namespace cgoprof {

// Instructions of the target's libc.
struct BorrowedCode {
  uint64_t system_call = 0;  // syscall; ret
  uint64_t restorer = 0;     // mov $15, %rax; syscall
};

using Arguments = uint64_t[6];

class BorrowedThread {
 public:
  enum class Outcome {
    kDone,
    kForbidden,  // a seccomp filter raised SIGSYS, which is kept from the thread
    kLost,       // it cannot be led any more: it ended, it crashed, or it takes too long
  };

  // Bytes that must be there below the stack pointer.
  static constexpr uint64_t kStackBytes = 48 << 10;

  // `thread` is stopped, in a system call that it may be taken out of, with `state`. `begin_again`: where the kernel
  // ends that call with EINTR, although it was only stopped, it is begun again.
  BorrowedThread(const RemoteProcess& process, TracedThread* thread, const BorrowedCode& code, const ThreadState& state,
                 bool begin_again, Deadline deadline);

  // Gives it back: restores it, and lets it go. Where it waited in the kernel it waits on.
  ~BorrowedThread();
  BorrowedThread(const BorrowedThread&) = delete;
  BorrowedThread& operator=(const BorrowedThread&) = delete;

  // Writes the frame. False: nothing was changed.
  bool Begin();

  // `result`: what the kernel answers, a negative errno included.
  Outcome SystemCall(int64_t number, const Arguments& arguments, int64_t* result);

  // Calls a function on a stack that ends at `stack_top`. `threads_made`: how many threads it started.
  Outcome Call(uint64_t function, const Arguments& arguments, uint64_t stack_top, int* threads_made);

 private:
  user_regs_struct RegistersFor(uint64_t pc, uint64_t sp) const;
  bool Start(const user_regs_struct& registers);
  Outcome RunToSyscallStop(user_regs_struct* registers);
  Outcome LeaveEntry(uint64_t frame);
  uint64_t PendingSignals(const char* whose) const;
  bool HasWaitingSignal() const;
  bool StopForGood();

  const RemoteProcess& process_;
  TracedThread* const thread_;
  const BorrowedCode code_;
  const ThreadState state_;  // as it was found
  ThreadState going_on_;     // from where it goes on by itself
  bool is_restartable_;      // the kernel has it begin its call again, or go on with it
  const Deadline deadline_;
  uint64_t own_frame_ = 0;    // address of the frame on its own stack
  bool is_started_ = false;   // it was made to run something; signals are held back
  bool is_at_entry_ = false;  // of a system call. There the number of the call is fixed: none may be skipped, because a
                              // seccomp filter is then asked about call -1
  TracedThread::Event stopped_by_ = TracedThread::Event::kStop;
};

}  // namespace cgoprof

#endif  // CGOPROF_ADDON_BORROWED_THREAD_H_
