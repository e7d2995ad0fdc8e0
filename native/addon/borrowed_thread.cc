// See borrowed_thread.h.
#include "addon/borrowed_thread.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>

namespace cgoprof {
namespace {

using Event = TracedThread::Event;

constexpr uint64_t kRedZoneBytes = 128;
constexpr uint64_t kSyscallInstructionBytes = 2;
constexpr uint64_t kNoSystemCall = ~uint64_t{0};

// What the kernel leaves in RAX of a thread that it stopped in a system call, include/linux/errno.h. User space never
// sees them: on the way there the call is begun again, or gone on with (the last one).
constexpr int64_t kRestartSys = -512;
constexpr int64_t kRestartNoIntr = -513;
constexpr int64_t kRestartNoHand = -514;
constexpr int64_t kRestartBlock = -516;

bool IsRestart(int64_t result) {
  return result == kRestartSys || result == kRestartNoIntr || result == kRestartNoHand || result == kRestartBlock;
}

// All that can be held back but what the thread's own instructions raise (blocked, those would kill it), and libc's two
// signals, for which setuid and pthread_cancel in other threads wait.
constexpr uint64_t Bit(int signal) { return uint64_t{1} << (signal - 1); }
constexpr int kLibcCancel = 32, kLibcSetxid = 33;
constexpr uint64_t kHeldBack = ~(Bit(SIGSEGV) | Bit(SIGBUS) | Bit(SIGFPE) | Bit(SIGILL) | Bit(SIGTRAP) | Bit(SIGSYS) |
                                 Bit(kLibcCancel) | Bit(kLibcSetxid));

void SetArguments(const Arguments& arguments, bool of_system_call, user_regs_struct* registers) {
  registers->rdi = arguments[0];
  registers->rsi = arguments[1];
  registers->rdx = arguments[2];
  (of_system_call ? registers->r10 : registers->rcx) = arguments[3];
  registers->r8 = arguments[4];
  registers->r9 = arguments[5];
}

}  // namespace

BorrowedThread::BorrowedThread(const RemoteProcess& process, TracedThread* thread, const BorrowedCode& code,
                               const ThreadState& state, Deadline deadline)
    : process_(process), thread_(thread), code_(code), state_(state), going_on_(state), deadline_(deadline) {
  user_regs_struct* const registers = &going_on_.registers;
  const int64_t result = static_cast<int64_t>(registers->rax);
  // epoll_wait and some others are not begun again, after a stop that nobody noticed either; it is taken for a signal's
  // only if there is one.
  is_restartable_ = IsRestart(result);
  if (is_restartable_ || (result == -EINTR && !HasWaitingSignal())) {
    registers->rax = registers->orig_rax;
    registers->rip -= kSyscallInstructionBytes;
  }
  registers->orig_rax = kNoSystemCall;
}

BorrowedThread::~BorrowedThread() { GiveBack(); }

// One that is not held back, and so would be delivered now.
bool BorrowedThread::HasWaitingSignal() const {
  const auto field = [&](const char* name) {
    return strtoull(process_.StatusField(thread_->tid(), name).c_str(), nullptr, 16);
  };
  return ((field("SigPnd") | field("ShdPnd")) & ~state_.signal_mask) != 0;
}

bool BorrowedThread::Begin() {
  const SignalFrame frame = MakeSignalFrame(going_on_, state_.registers.rsp - kRedZoneBytes, code_.restorer);
  if (state_.registers.rsp - frame.address > kStackBytes / 2) return false;
  own_frame_ = frame.address;
  return process_.WriteMemory(frame.address, frame.bytes.data(), frame.bytes.size());
}

user_regs_struct BorrowedThread::RegistersFor(uint64_t pc, uint64_t sp) const {
  constexpr uint64_t kDirectionFlag = 0x400;
  user_regs_struct registers = state_.registers;
  registers.rip = pc;
  registers.rsp = sp;
  registers.rax = 0;
  registers.orig_rax = kNoSystemCall;
  registers.eflags &= ~kDirectionFlag;
  return registers;
}

// The registers come first: from then on the frame restores the mask as well.
bool BorrowedThread::Start(const user_regs_struct& registers) {
  if (!thread_->SetRegisters(registers)) return false;
  if (!is_masked_) is_masked_ = thread_->SetSignalMask(kHeldBack);
  return is_masked_;
}

BorrowedThread::Outcome BorrowedThread::RunToSyscallStop() {
  while (thread_->RunToSyscall()) {
    stopped_by_ = thread_->Wait(deadline_);
    if (stopped_by_ == Event::kSyscall) return Outcome::kDone;
    if (stopped_by_ == Event::kSignal) return thread_->signal() == SIGSYS ? Outcome::kForbidden : Outcome::kLost;
    if (stopped_by_ != Event::kStop) break;
  }
  return Outcome::kLost;
}

BorrowedThread::Outcome BorrowedThread::SystemCall(int64_t number, const Arguments& arguments, int64_t* result) {
  user_regs_struct registers = RegistersFor(code_.system_call, own_frame_);
  registers.rax = static_cast<uint64_t>(number);
  SetArguments(arguments, true, &registers);
  if (!Start(registers)) return Outcome::kLost;
  for (int stop = 0; stop < 2; ++stop) {  // at its entry, at its exit
    if (const Outcome outcome = RunToSyscallStop(); outcome != Outcome::kDone) return outcome;
  }
  if (!thread_->GetRegisters(&registers)) return Outcome::kLost;
  *result = static_cast<int64_t>(registers.rax);
  return Outcome::kDone;
}

BorrowedThread::Outcome BorrowedThread::Call(uint64_t function, const Arguments& arguments, uint64_t stack_top,
                                             int* threads_made) {
  const SignalFrame frame = MakeSignalFrame(going_on_, stack_top, code_.restorer);
  if (!process_.WriteMemory(frame.address, frame.bytes.data(), frame.bytes.size())) return Outcome::kLost;
  user_regs_struct registers = RegistersFor(function, frame.address);
  SetArguments(arguments, false, &registers);
  if (!Start(registers)) return Outcome::kLost;
  for (bool enters = true;; enters = !enters) {
    if (const Outcome outcome = RunToSyscallStop(); outcome != Outcome::kDone) return outcome;
    if (!thread_->GetRegisters(&registers)) return Outcome::kLost;
    const uint64_t number = registers.orig_rax;
    if (enters && number == SYS_rt_sigreturn && registers.rsp == frame.address + sizeof(uint64_t))
      return Outcome::kDone;
    const bool makes_thread = number == SYS_clone || number == SYS_clone3;
    if (!enters && makes_thread && static_cast<int64_t>(registers.rax) > 0) ++*threads_made;
  }
}

// Leads it from whatever stop it is in to one on its way out of the kernel, where its system call can be begun again.
bool BorrowedThread::StopForGood() {
  if (stopped_by_ == Event::kStop) return true;
  if (!thread_->Interrupt() || !thread_->Run()) return false;
  for (;;) {
    stopped_by_ = thread_->Wait(deadline_);
    if (stopped_by_ == Event::kStop) return true;
    if (stopped_by_ == Event::kSignal && thread_->Run(thread_->signal())) {
      is_restartable_ = false;  // it is in a handler then
      continue;
    }
    return false;
  }
}

void BorrowedThread::GiveBack() {
  if (is_given_back_) return;
  is_given_back_ = true;
  if (stopped_by_ == Event::kGone) return;
  // A call that takes too long is left to end by itself: it returns into the frame.
  if (stopped_by_ == Event::kTimeout) {
    if (thread_->Interrupt()) thread_->Wait(std::chrono::steady_clock::now() + std::chrono::seconds(1));
    return thread_->Detach();
  }
  // The registers come last: until then the frame stands.
  thread_->SetExtended(state_.extended);
  thread_->SetSignalMask(state_.signal_mask);
  thread_->SetRegisters(going_on_.registers);
  // The kernel still knows how long a call had to wait that it would go on with.
  if (StopForGood() && is_restartable_) thread_->SetRegisters(state_.registers);
  thread_->Detach();
}

}  // namespace cgoprof
