// See traced_thread.h.
#include "addon/traced_thread.h"

#include <elf.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>

namespace cgoprof {
namespace {

// ptrace(2) takes numbers where its declaration has pointers.
long Ptrace(int request, pid_t tid, uint64_t address, uint64_t data) {
  return ptrace(static_cast<__ptrace_request>(request), tid, address, data);
}
uint64_t PointerArg(const void* pointer) { return reinterpret_cast<uintptr_t>(pointer); }

// Most answers come within microseconds; whoever waits longer leaves the processor to the others.
void Pause(int round) {
  constexpr int kBusyRounds = 100;
  constexpr timespec kNap = {0, 50000};
  if (round < kBusyRounds)
    sched_yield();
  else
    nanosleep(&kNap, nullptr);
}

}  // namespace

TracedThread::~TracedThread() { Detach(); }

int TracedThread::Seize() {
  if (Ptrace(PTRACE_SEIZE, tid_, 0, PTRACE_O_TRACESYSGOOD) != 0) return errno;
  traced_ = true;
  return 0;
}

bool TracedThread::Interrupt() const { return Ptrace(PTRACE_INTERRUPT, tid_, 0, 0) == 0; }

TracedThread::Event TracedThread::Wait(Deadline deadline) {
  constexpr int kSyscallStop = SIGTRAP | 0x80;
  int status = 0;
  pid_t waited = 0;
  for (int round = 0; (waited = waitpid(tid_, &status, __WALL | __WNOTHREAD | WNOHANG)) == 0; ++round) {
    if (std::chrono::steady_clock::now() >= deadline) return Event::kTimeout;
    Pause(round);
  }
  if (waited < 0 || !WIFSTOPPED(status)) {
    traced_ = false;
    return Event::kGone;
  }
  if (status >> 16 == PTRACE_EVENT_STOP) return Event::kStop;
  if (WSTOPSIG(status) == kSyscallStop) return Event::kSyscall;
  signal_ = WSTOPSIG(status);
  return Event::kSignal;
}

bool TracedThread::RunToSyscall(int signal) {
  return Ptrace(PTRACE_SYSCALL, tid_, 0, static_cast<uint64_t>(signal)) == 0;
}

bool TracedThread::Run(int signal) { return Ptrace(PTRACE_CONT, tid_, 0, static_cast<uint64_t>(signal)) == 0; }

bool TracedThread::GetRegisters(user_regs_struct* registers) const {
  return Ptrace(PTRACE_GETREGS, tid_, 0, PointerArg(registers)) == 0;
}

bool TracedThread::SetRegisters(const user_regs_struct& registers) const {
  return Ptrace(PTRACE_SETREGS, tid_, 0, PointerArg(&registers)) == 0;
}

bool TracedThread::GetState(ThreadState* state) const {
  constexpr size_t kMostExtendedBytes = 64 << 10;
  state->extended.resize(kMostExtendedBytes);
  iovec extended = {state->extended.data(), state->extended.size()};
  if (!GetRegisters(&state->registers) || Ptrace(PTRACE_GETREGSET, tid_, NT_X86_XSTATE, PointerArg(&extended)) != 0 ||
      Ptrace(PTRACE_GETSIGMASK, tid_, sizeof(state->signal_mask), PointerArg(&state->signal_mask)) != 0) {
    return false;
  }
  state->extended.resize(extended.iov_len);
  return true;
}

bool TracedThread::SetExtended(const std::string& extended) const {
  const iovec local = {const_cast<char*>(extended.data()), extended.size()};
  return Ptrace(PTRACE_SETREGSET, tid_, NT_X86_XSTATE, PointerArg(&local)) == 0;
}

bool TracedThread::SetSignalMask(uint64_t mask) const {
  return Ptrace(PTRACE_SETSIGMASK, tid_, sizeof(mask), PointerArg(&mask)) == 0;
}

bool TracedThread::IsFault() const {
  siginfo_t info = {};
  // Above 0 is what the kernel sends by itself: faults, but also a timer's SIGALRM.
  return Ptrace(PTRACE_GETSIGINFO, tid_, 0, PointerArg(&info)) == 0 && info.si_code > 0 &&
         (signal_ == SIGSEGV || signal_ == SIGBUS || signal_ == SIGFPE || signal_ == SIGILL || signal_ == SIGTRAP ||
          signal_ == SIGSYS);
}

void TracedThread::Detach(int signal) {
  if (traced_) Ptrace(PTRACE_DETACH, tid_, 0, static_cast<uint64_t>(signal));
  traced_ = false;
}

}  // namespace cgoprof
