// See injector.h.
#include "addon/injector.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "addon/attach_library.h"
#include "addon/attach_target.h"
#include "addon/memory_file.h"
#include "addon/safe_text.h"
#include "addon/seccomp_filter.h"

#ifndef MFD_EXEC
#define MFD_EXEC 0x10U
#endif

namespace cgoprof {
namespace {

using Clock = std::chrono::steady_clock;
using Event = TracedThread::Event;
using Outcome = BorrowedThread::Outcome;

// The area: the mailbox's page, then the stack for pthread_create.
constexpr uint64_t kPageBytes = 4096;
constexpr uint64_t kAreaBytes = kPageBytes + (256 << 10);
// Behind the mailbox in its page: the name of the library's file of memory, and where pthread_create puts the new
// thread.
constexpr uint64_t kNameAt = 3584;
constexpr uint64_t kThreadAt = 3712;
constexpr char kMemoryFileName[] = "libcgoprof.so";
static_assert(sizeof(AttachMailbox) <= kNameAt && kNameAt + sizeof(kMemoryFileName) <= kThreadAt);

constexpr char kLost[] = "LOST";
constexpr char kZombie[] = "ZOMBIE";

constexpr auto kStopPatience = std::chrono::seconds(1);    // for a thread to stop, which takes microseconds
constexpr auto kCallPatience = std::chrono::seconds(2);    // for all that a borrowed thread does
constexpr auto kLookPause = std::chrono::milliseconds(2);  // between looks at all threads

uint64_t NanosecondsSince(Clock::time_point start) {
  return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now() - start).count());
}

// What it means that the kernel refuses a call in the target.
NativeError ErrorOf(const char* call, int64_t result) {
  const int error = static_cast<int>(-result);
  if (error == EPERM || error == EACCES || error == ENOSYS) return {"FORBIDDEN", call};
  return {"NO_MEMORY", strerror(error)};
}

std::string BoundedText(const char* text, size_t size) { return SafeText({text, strnlen(text, size)}); }

// What a try with one thread came to.
enum class Try {
  kStarted,   // a thread runs at the mailbox
  kNotThere,  // this one was at no safe point: another may be
  kFailed,    // no thread will do
};

// One tool at a time: a lock on the process's folder in /proc, which ends with this process. (It holds among those who
// see the same /proc. What else may happen, the library in the target sees to: see AttachRun.)
class ProcessLock {
 public:
  explicit ProcessLock(pid_t pid)
      : folder_(open(("/proc/" + std::to_string(pid)).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {}
  ~ProcessLock() {
    if (folder_ >= 0) close(folder_);
  }
  ProcessLock(const ProcessLock&) = delete;
  ProcessLock& operator=(const ProcessLock&) = delete;

  // False: somebody else has it.
  bool Take() const { return folder_ < 0 || flock(folder_, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK; }

 private:
  const int folder_;
};

class Injector {
 public:
  explicit Injector(const AttachRequest& request) : request_(request), target_(request.pid) {}

  AttachResult Run() {
    result_.error = Attach();
    return std::move(result_);
  }

 private:
  NativeError Attach();
  NativeError TryToAttach();
  NativeError ReadLibrary();
  NativeError StartThread();
  std::vector<pid_t> RankedThreads() const;
  Try TryThread(pid_t tid);
  Try UseStopped(TracedThread* thread, const ThreadState& state);
  bool IsAtSafePoint(const ThreadState& state) const;
  NativeError CheckSeccomp(pid_t tid) const;
  void CleanUp(BorrowedThread* borrowed) const;
  NativeError Prepare(BorrowedThread* borrowed);
  NativeError BringLibrary(BorrowedThread* borrowed);
  NativeError MakeMemoryFile(BorrowedThread* borrowed);
  NativeError PostMail() const;
  NativeError StartWorker(BorrowedThread* borrowed);
  NativeError Call(BorrowedThread* borrowed, int64_t number, const Arguments& arguments, int64_t* result) const;
  NativeError AwaitAnswer();
  NativeError ReadAnswer(const AttachMailbox& mailbox);
  void Tell(uint64_t offset) const;

  bool needs_library() const { return target_.functions().run == 0; }

  const AttachRequest& request_;
  AttachTarget target_;
  std::optional<AttachLibrary> library_;
  AttachResult result_;
  NativeError failure_;  // of the last TryThread
  uint64_t area_ = 0;    // addresses in the target
  uint64_t load_code_ = 0;
  int32_t library_fd_ = -1;  // the target's
};

// Whatever goes wrong in a process that ends or executes another program meanwhile, that is why.
NativeError Injector::Attach() {
  NativeError error = TryToAttach();
  return error && error.code != kZombie && !target_.IsSame() ? NativeError{"GONE", ""} : error;
}

NativeError Injector::TryToAttach() {
  const ProcessLock lock(request_.pid);
  if (!lock.Take()) return {"LIBRARY", "busy"};
  if (NativeError error = target_.Inspect()) return error;
  if (needs_library() && request_.action == kDetachAction) return {"LIBRARY", "not-attached"};
  if (NativeError error = ReadLibrary()) return error;
  if (NativeError error = StartThread()) return error;
  return AwaitAnswer();
}

NativeError Injector::ReadLibrary() {
  if (!needs_library()) return {};
  std::string why;
  library_ = ReadAttachLibrary(request_.library_path, &why);
  return library_ ? NativeError{} : NativeError{"EIO", why};
}

// Reading the mappings holds up the target, so it is not done at every look.
NativeError Injector::StartThread() {
  constexpr auto kMappingsAge = std::chrono::milliseconds(250);
  const Deadline deadline = Clock::now() + request_.deadline;
  Deadline refresh = Clock::now() + kMappingsAge;
  do {
    for (const pid_t tid : RankedThreads()) {
      if (Clock::now() >= deadline || !target_.IsSame()) break;
      switch (TryThread(tid)) {
        case Try::kStarted:
          return {};
        case Try::kFailed:
          return failure_;
        case Try::kNotThere:
          break;
      }
    }
    std::this_thread::sleep_for(kLookPause);
    if (Clock::now() < refresh) continue;
    target_.RefreshMappings();
    refresh = Clock::now() + kMappingsAge;
  } while (Clock::now() < deadline && target_.IsSame());
  return {"NO_SAFE_POINT", std::to_string(target_.process().Threads().size())};
}

// The best first.
std::vector<pid_t> Injector::RankedThreads() const {
  std::vector<std::pair<int, pid_t>> ranked;
  for (const pid_t tid : target_.process().Threads()) {
    if (!target_.process().IsSleeping(tid)) continue;
    const auto parked = target_.process().Parked(tid);
    const int rank = parked ? RankSafePoint(target_.safe_points(), *parked) : -1;
    if (rank >= 0) ranked.emplace_back(rank, tid);
  }
  std::sort(ranked.begin(), ranked.end());
  std::vector<pid_t> threads;
  for (const auto& [rank, tid] : ranked) threads.push_back(tid);
  return threads;
}

Try Injector::TryThread(pid_t tid) {
  TracedThread thread(tid);
  if (const int error = thread.Seize()) {
    if (error == ESRCH) return Try::kNotThere;
    const std::string tracer = target_.process().StatusField(tid, "TracerPid");
    const bool is_traced = !tracer.empty() && tracer != "0";
    failure_ = is_traced ? NativeError{"TRACED", tracer} : NativeError{"NOT_PERMITTED", strerror(error)};
    return Try::kFailed;
  }
  thread.Interrupt();
  Event event = Event::kSignal;
  while ((event = thread.Wait(Clock::now() + kStopPatience)) == Event::kSignal) thread.Run(thread.signal());
  if (event == Event::kTimeout) {
    // It cannot be let go as long as it does not stop; the kernel does that when this thread of ours ends.
    failure_ = {"NO_SAFE_POINT", std::to_string(target_.process().Threads().size())};
    return Try::kFailed;
  }
  if (event != Event::kStop) return Try::kNotThere;
  const Clock::time_point stopped_at = Clock::now();
  ThreadState state;
  if (!thread.GetState(&state)) return Try::kNotThere;
  const Try outcome = UseStopped(&thread, state);
  result_.stopped_ns = NanosecondsSince(stopped_at);
  result_.thread_id = tid;
  if (outcome == Try::kNotThere) ++result_.attempts;
  return outcome;
}

Try Injector::UseStopped(TracedThread* thread, const ThreadState& state) {
  uint16_t instruction = 0;
  constexpr uint16_t kSyscallInstruction = 0x050f;
  const RemoteProcess& process = target_.process();
  const bool in_kernel = static_cast<int64_t>(state.registers.orig_rax) >= 0;
  if (!in_kernel || !process.Read(state.registers.rip - sizeof(instruction), &instruction) ||
      instruction != kSyscallInstruction) {
    return Try::kNotThere;
  }
  // From here on it is given back properly, whatever is found.
  const bool begin_again = BeginsAgain(target_.safe_points(), state.registers.rip);
  BorrowedThread borrowed(process, thread, target_.code(), state, begin_again, Clock::now() + kCallPatience);
  if (!IsAtSafePoint(state) || !target_.IsSame()) return Try::kNotThere;
  if ((failure_ = CheckSeccomp(thread->tid()))) return Try::kFailed;
  if (!borrowed.Begin()) return Try::kNotThere;
  failure_ = Prepare(&borrowed);
  if (!failure_) failure_ = StartWorker(&borrowed);
  if (!failure_) return Try::kStarted;
  CleanUp(&borrowed);
  return Try::kFailed;
}

// Takes away what was made for nothing. A thread that is lost cannot, and may still be using it.
void Injector::CleanUp(BorrowedThread* borrowed) const {
  int64_t ignored = 0;
  if (failure_.code == kLost) return;
  if (load_code_ != 0) Call(borrowed, SYS_munmap, {load_code_, library_->load_pages_bytes}, &ignored);
  if (library_fd_ >= 0) Call(borrowed, SYS_close, {static_cast<uint64_t>(library_fd_)}, &ignored);
  if (area_ != 0) Call(borrowed, SYS_munmap, {area_, kAreaBytes}, &ignored);
}

bool Injector::IsAtSafePoint(const ThreadState& state) const {
  constexpr uint64_t kMostStackBytes = 1 << 20;  // of a thread that waits; in deeper ones nobody looks
  const user_regs_struct& r = state.registers;
  const SafePoints& points = target_.safe_points();
  const ParkedCall call = {static_cast<int64_t>(r.orig_rax), {r.rdi, r.rsi, r.rdx, r.r10, r.r8, r.r9}, r.rsp, r.rip};
  if (RankSafePoint(points, call) < 0) return false;
  const AddressRange used = UsedSystemStack(points.mappings, r.rsp, r.fs_base, BorrowedThread::kStackBytes);
  const uint64_t bytes = used.end - used.start;
  if (bytes == 0 || bytes > kMostStackBytes) return false;
  std::vector<uint64_t> words(bytes / sizeof(uint64_t));
  return target_.process().ReadMemory(used.start, words.data(), words.size() * sizeof(uint64_t)) &&
         !SpeaksAgainst(points, words);
}

NativeError Injector::CheckSeccomp(pid_t tid) const {
  constexpr char kNone[] = "0", kStrict[] = "1";
  const std::string mode = target_.process().StatusField(tid, "Seccomp");
  if (mode == kNone || mode.empty()) return {};
  if (mode == kStrict) return {"SECCOMP_FORBIDS", "mmap"};
  std::vector<SeccompFilter> filters;
  if (ReadSeccompFilters(tid, &filters) == FilterAccess::kForbidden) {
    return request_.trust_seccomp ? NativeError{} : NativeError{"SECCOMP_UNKNOWN", ""};
  }
  const std::string forbidden = FindForbiddenCall(filters);
  return forbidden.empty() ? NativeError{} : NativeError{"SECCOMP_FORBIDS", forbidden};
}

// One system call in the borrowed thread. A number of the kernel's errors is an answer, and no error here.
NativeError Injector::Call(BorrowedThread* borrowed, int64_t number, const Arguments& arguments,
                           int64_t* result) const {
  switch (borrowed->SystemCall(number, arguments, result)) {
    case Outcome::kDone:
      return {};
    case Outcome::kForbidden:
      return {"SECCOMP_FORBIDS", number == SYS_memfd_create ? "memfd_create" : "mmap"};
    default:
      return {kLost, ""};
  }
}

NativeError Injector::Prepare(BorrowedThread* borrowed) {
  int64_t area = 0;
  const uint64_t rights = PROT_READ | PROT_WRITE;
  const uint64_t flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
  if (NativeError error = Call(borrowed, SYS_mmap, {0, kAreaBytes, rights, flags, ~uint64_t{0}, 0}, &area))
    return error;
  if (area < 0) return ErrorOf("mmap", area);
  area_ = static_cast<uint64_t>(area);
  if (needs_library()) {
    if (NativeError error = BringLibrary(borrowed)) return error;
  }
  return PostMail();
}

NativeError Injector::BringLibrary(BorrowedThread* borrowed) {
  if (NativeError error = MakeMemoryFile(borrowed)) return error;
  if (NativeError error = FillMemoryFile(request_.pid, library_fd_, kMemoryFileName, library_->bytes)) {
    library_fd_ = -1;  // it may be somebody else's by now: not for us to close
    return error;
  }
  int64_t code = 0;
  const Arguments arguments = {0,           library_->load_pages_bytes,         PROT_READ | PROT_EXEC,
                               MAP_PRIVATE, static_cast<uint64_t>(library_fd_), library_->load_pages_offset};
  if (NativeError error = Call(borrowed, SYS_mmap, arguments, &code)) return error;
  if (code < 0) return ErrorOf("mmap", code);
  load_code_ = static_cast<uint64_t>(code);
  return {};
}

NativeError Injector::MakeMemoryFile(BorrowedThread* borrowed) {
  const uint64_t name = area_ + kNameAt;
  if (!target_.process().WriteMemory(name, kMemoryFileName, sizeof(kMemoryFileName))) return {"GONE", ""};
  int64_t fd = -EINVAL;
  // Kernels before 6.3 do not know MFD_EXEC, later ones may insist on it.
  for (const uint64_t flags : {MFD_CLOEXEC | MFD_EXEC, MFD_CLOEXEC}) {
    if (fd != -EINVAL) break;
    if (NativeError error = Call(borrowed, SYS_memfd_create, {name, flags}, &fd)) return error;
  }
  if (fd < 0) return ErrorOf("memfd_create", fd);
  library_fd_ = static_cast<int32_t>(fd);
  return {};
}

NativeError Injector::PostMail() const {
  const AttachFunctions& functions = target_.functions();
  AttachMailbox mailbox = {};
  mailbox.version = kMailboxVersion;
  mailbox.action = request_.action;
  mailbox.rate = request_.rate;
  if (request_.directory.size() >= sizeof(mailbox.directory)) return {"LIBRARY", "directory"};
  memcpy(mailbox.directory, request_.directory.data(), request_.directory.size());
  // Not the name that others use who load a library so: the loader takes one of the same name for the same.
  const std::string path = "/proc/self/./fd/" + std::to_string(library_fd_);
  memcpy(mailbox.library_path, path.data(), std::min(path.size(), sizeof(mailbox.library_path) - 1));
  mailbox.library_fd = library_fd_;
  mailbox.flags = request_.skip_account ? uint32_t{kSkipAccount} : 0;
  mailbox.dlopen_flags = functions.dlopen_flags;
  mailbox.dlopen = functions.dlopen;
  mailbox.dlerror = functions.dlerror;
  mailbox.pthread_detach = functions.pthread_detach;
  mailbox.munmap = functions.munmap;
  mailbox.run_offset = library_ ? library_->run_offset : 0;
  mailbox.area = area_;
  mailbox.area_bytes = kAreaBytes;
  mailbox.load_code = load_code_;
  mailbox.load_code_bytes = library_ ? library_->load_pages_bytes : 0;
  return target_.process().WriteMemory(area_, &mailbox, sizeof(mailbox)) ? NativeError{} : NativeError{"GONE", ""};
}

NativeError Injector::StartWorker(BorrowedThread* borrowed) {
  const uint64_t entry = needs_library() ? load_code_ + library_->load_entry : target_.functions().run;
  int threads_made = 0;
  const Arguments arguments = {area_ + kThreadAt, 0, entry, area_};
  switch (borrowed->Call(target_.functions().pthread_create, arguments, area_ + kAreaBytes, &threads_made)) {
    case Outcome::kDone:
      return threads_made > 0 ? NativeError{} : NativeError{"NO_MEMORY", "pthread_create"};
    case Outcome::kForbidden:
      return {"SECCOMP_FORBIDS", "clone"};
    default:
      return {kLost, ""};
  }
}

// Sets a word of the mailbox to 1, if it still is one.
void Injector::Tell(uint64_t offset) const {
  const uint32_t one = 1;
  if (!target_.IsSame()) return;
  target_.process().WriteMemory(area_ + offset, &one, sizeof(one));
}

NativeError Injector::AwaitAnswer() {
  constexpr auto kPause = std::chrono::microseconds(200);
  constexpr auto kGrace = std::chrono::milliseconds(250);  // between telling it not to begin and giving up
  const Deadline deadline = Clock::now() + request_.deadline;
  bool told = false;
  for (;;) {
    AttachMailbox mailbox;
    if (!target_.process().Read(area_, &mailbox)) return {kLost, ""};
    if (mailbox.progress >= kMailDone) return ReadAnswer(mailbox);
    const Deadline now = Clock::now();
    if (now >= deadline && !told) Tell(offsetof(AttachMailbox, cancelled));
    told = told || now >= deadline;
    if (now >= deadline + kGrace) {
      Tell(offsetof(AttachMailbox, released));
      return {mailbox.progress == kMailPosted ? kLost : "BUSY", ""};
    }
    std::this_thread::sleep_for(kPause);
  }
}

NativeError Injector::ReadAnswer(const AttachMailbox& mailbox) {
  constexpr char kLoaderWords[] = "loader: ";
  Tell(offsetof(AttachMailbox, released));
  result_.segment = BoundedText(mailbox.segment, sizeof(mailbox.segment));
  result_.patched = mailbox.patched;
  result_.account_ns = mailbox.account_ns;
  if (mailbox.progress == kMailDone) return {};
  const std::string failure = BoundedText(mailbox.failure, sizeof(mailbox.failure));
  if (failure.compare(0, strlen(kLoaderWords), kLoaderWords) == 0)
    return {"LOADER", failure.substr(strlen(kLoaderWords))};
  return {"LIBRARY", failure};
}

// A tool that is put to sleep at its terminal would leave a thread of the target stopped.
class StaysAwake {
 public:
  StaysAwake() {
    struct sigaction ignore = {};
    ignore.sa_handler = SIG_IGN;
    for (size_t i = 0; i < kCount; ++i) sigaction(kSignals[i], &ignore, &before_[i]);
  }
  ~StaysAwake() {
    for (size_t i = 0; i < kCount; ++i) sigaction(kSignals[i], &before_[i], nullptr);
  }
  StaysAwake(const StaysAwake&) = delete;
  StaysAwake& operator=(const StaysAwake&) = delete;

 private:
  static constexpr int kSignals[] = {SIGTSTP, SIGTTIN, SIGTTOU};
  static constexpr size_t kCount = sizeof(kSignals) / sizeof(kSignals[0]);
  struct sigaction before_[kCount] = {};
};

}  // namespace

AttachResult AttachTo(const AttachRequest& request) {
  const StaysAwake awake;
  AttachResult result;
  std::thread([&] { result = Injector(request).Run(); }).join();
  return result;
}

}  // namespace cgoprof
