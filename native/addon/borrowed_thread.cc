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

constexpr uint64_t Bit(int signal) { return uint64_t{1} << (signal - 1); }

// All but what the thread's own instructions raise (blocked, those would kill it), and the signal by which libc has
// every thread change its user: whoever sent it waits for that, with a lock held that pthread_create takes.
constexpr int kSetxid = 33;
constexpr uint64_t kHeldBack =
    ~(Bit(SIGSEGV) | Bit(SIGBUS) | Bit(SIGFPE) | Bit(SIGILL) | Bit(SIGTRAP) | Bit(SIGSYS) | Bit(kSetxid));

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
                               const ThreadState& state, bool begin_again, Deadline deadline)
    : process_(process), thread_(thread), code_(code), state_(state), going_on_(state), deadline_(deadline) {
  user_regs_struct* const registers = &going_on_.registers;
  const int64_t result = static_cast<int64_t>(registers->rax);
  is_restartable_ = IsRestart(result);
  if (is_restartable_ || (begin_again && result == -EINTR && !HasWaitingSignal())) {
    registers->rax = registers->orig_rax;
    registers->rip -= kSyscallInstructionBytes;
  }
  registers->orig_rax = kNoSystemCall;
}

// SigPnd: the thread's own; ShdPnd: those of the process. As a mask.
uint64_t BorrowedThread::PendingSignals(const char* whose) const {
  return strtoull(process_.StatusField(thread_->tid(), whose).c_str(), nullptr, 16);
}

// One that is not held back, and so would be delivered now.
bool BorrowedThread::HasWaitingSignal() const {
  return ((PendingSignals("SigPnd") | PendingSignals("ShdPnd")) & ~state_.signal_mask) != 0;
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
  if (is_at_entry_ || !thread_->SetRegisters(registers)) return false;
  if (!is_started_ && !thread_->SetSignalMask(kHeldBack)) return false;
  is_started_ = true;
  return true;
}

// To the next entry or exit of a system call, which may be a signal handler's.
BorrowedThread::Outcome BorrowedThread::RunToSyscallStop(user_regs_struct* registers) {
  int signal = 0;
  while (thread_->RunToSyscall(signal)) {
    signal = 0;
    stopped_by_ = thread_->Wait(deadline_);
    if (stopped_by_ == Event::kSyscall) {
      is_at_entry_ = !is_at_entry_;
      return thread_->GetRegisters(registers) ? Outcome::kDone : Outcome::kLost;
    }
    if (stopped_by_ == Event::kSignal) {
      if (thread_->IsFault()) return thread_->signal() == SIGSYS ? Outcome::kForbidden : Outcome::kLost;
      signal = thread_->signal();
    } else if (stopped_by_ != Event::kStop) {
      break;
    }
  }
  return Outcome::kLost;
}

BorrowedThread::Outcome BorrowedThread::SystemCall(int64_t number, const Arguments& arguments, int64_t* result) {
  user_regs_struct registers = RegistersFor(code_.system_call, own_frame_);
  registers.rax = static_cast<uint64_t>(number);
  SetArguments(arguments, true, &registers);
  if (!Start(registers)) return Outcome::kLost;
  do {
    if (const Outcome outcome = RunToSyscallStop(&registers); outcome != Outcome::kDone) return outcome;
  } while (is_at_entry_ || registers.rip != code_.system_call + kSyscallInstructionBytes ||
           registers.rsp != own_frame_);
  *result = static_cast<int64_t>(registers.rax);
  // Where a filter raises SIGSYS the call comes back with its own number, and the signal after that.
  if (*result != number || (PendingSignals("SigPnd") & Bit(SIGSYS)) == 0) return Outcome::kDone;
  return RunToSyscallStop(&registers);
}

BorrowedThread::Outcome BorrowedThread::Call(uint64_t function, const Arguments& arguments, uint64_t stack_top,
                                             int* threads_made) {
  const SignalFrame frame = MakeSignalFrame(going_on_, stack_top, code_.restorer);
  if (!process_.WriteMemory(frame.address, frame.bytes.data(), frame.bytes.size())) return Outcome::kLost;
  user_regs_struct registers = RegistersFor(function, frame.address);
  SetArguments(arguments, false, &registers);
  if (!Start(registers)) return Outcome::kLost;
  for (;;) {
    if (const Outcome outcome = RunToSyscallStop(&registers); outcome != Outcome::kDone) return outcome;
    const uint64_t number = registers.orig_rax;
    const bool returns = number == SYS_rt_sigreturn && registers.rsp == frame.address + sizeof(uint64_t);
    if (is_at_entry_ && returns) return LeaveEntry(frame.address);
    const bool makes_thread = number == SYS_clone || number == SYS_clone3;
    if (!is_at_entry_ && makes_thread && static_cast<int64_t>(registers.rax) > 0) ++*threads_made;
  }
}

// At the entry of the frame's rt_sigreturn: has the thread make a call that does nothing in its place, one that
// pthread_create makes as well, and come to the restorer again.
BorrowedThread::Outcome BorrowedThread::LeaveEntry(uint64_t frame) {
  constexpr uint64_t kSignalSetBytes = 8;
  user_regs_struct registers = RegistersFor(code_.restorer, frame + sizeof(uint64_t));
  registers.orig_rax = SYS_rt_sigprocmask;
  registers.rax = static_cast<uint64_t>(-ENOSYS);
  SetArguments({SIG_BLOCK, 0, 0, kSignalSetBytes}, true, &registers);
  if (!thread_->SetRegisters(registers)) return Outcome::kLost;
  return RunToSyscallStop(&registers);
}

// Leads it, from the exit of a system call, to a stop on its way out of the kernel, where its own call can be begun
// again. False: it does something else than was thought, and returns into the frame by itself.
bool BorrowedThread::StopForGood() {
  if (stopped_by_ == Event::kStop) return true;
  if (is_at_entry_ || !thread_->Interrupt()) return false;
  const bool is_fault = stopped_by_ == Event::kSignal && thread_->IsFault();
  if (stopped_by_ == Event::kSignal && !is_fault) return false;
  while (thread_->Run()) {
    stopped_by_ = thread_->Wait(deadline_);
    if (stopped_by_ == Event::kStop) return true;
    // SIGSYS after a call that a filter forbade; nobody else shall have it.
    if (stopped_by_ != Event::kSignal || !thread_->IsFault()) return false;
  }
  return false;
}

BorrowedThread::~BorrowedThread() {
  if (stopped_by_ == Event::kGone) return;
  if (stopped_by_ == Event::kTimeout) {
    // It is stopped to be let go: a thread that runs cannot be.
    thread_->Interrupt();
    stopped_by_ = thread_->Wait(std::chrono::steady_clock::now() + std::chrono::seconds(1));
  } else if (StopForGood()) {
    // The registers come last: until then the frame stands.
    thread_->SetExtended(state_.extended);
    thread_->SetSignalMask(state_.signal_mask);
    // The kernel still knows how long a call had to wait that it would go on with.
    thread_->SetRegisters(is_restartable_ ? state_.registers : going_on_.registers);
  }
  thread_->Detach(stopped_by_ == Event::kSignal && !thread_->IsFault() ? thread_->signal() : 0);
}

}  // namespace cgoprof
