// See request_file.h.
#include "preload/request_file.h"

#include <fcntl.h>
#include <stdint.h>
#include <sys/stat.h>

#include "preload/allocator_functions.h"
#include "preload/fork_wiped.h"
#include "preload/proc_stat.h"
#include "preload/raw_syscall.h"
#include "preload/recorder.h"
#include "preload/sampler.h"
#include "preload/segment_writer.h"
#include "preload/signals_held_back.h"
#include "preload/start.h"
#include "preload/start_failure.h"
#include "preload/text.h"

namespace cgoprof {
namespace {

char request_directory[kMaxPathBytes];
bool has_own_operators;  // the allocator

// Whoever may write there could write a request; still, nobody else's is obeyed.
bool IsOurs(long fd) {
  struct stat info = {};
  return !IsError(RawSyscall(SYS_fstat, fd, PointerArg(&info))) && S_ISREG(info.st_mode) &&
         info.st_uid == static_cast<uid_t>(RawSyscall(SYS_geteuid)) && (info.st_mode & 0077) == 0;
}

// The rate of a request, of which the file is taken away; 0 without one.
uint64_t TakeRequest() {
  char path[kMaxPathBytes + 64], text[32] = {};
  TextBuilder builder(path, sizeof(path));
  builder.Add(request_directory).Add("/").Add(static_cast<uint64_t>(RawSyscall(SYS_getpid)));
  builder.Add("-").Add(ReadStartTime("self")).Add(".on");
  constexpr int kFlags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
  const long fd = RawSyscall(SYS_openat, AT_FDCWD, PointerArg(path), kFlags);
  if (IsError(fd)) return 0;
  const bool is_ours = IsOurs(fd);
  if (is_ours) RawSyscall(SYS_read, fd, PointerArg(text), sizeof(text) - 1);
  RawSyscall(SYS_close, fd);
  if (!is_ours || IsError(RawSyscall(SYS_unlinkat, AT_FDCWD, PointerArg(path), 0))) return 0;
  uint64_t rate = 0;
  const char* end;
  const bool makes_sense = ParseNumber(text, 10, &rate, &end) && *end == '\n' && rate != 0;
  return makes_sense ? rate : kDefaultSampleRate;
}

// In the middle of an allocation, perhaps of a signal handler that interrupted the allocator: which is not asked what
// is in use, for it might wait for its own thread.
void Start(uint64_t rate) {
  // Operators can be hooked only where no other thread is at work on what they allocated, and from outside of hooks.
  if (has_own_operators) return LeaveStartFailure("dormant-allocator");
  if (!PrepareInDirectory({request_directory, rate, /*run_id=*/0, /*is_kept=*/false}))
    return LeaveStartFailure(RecorderFailure());
  NoteAttachment(kUnknownBytes);
  BeginRecording();
}

void LookForRequest() {
  const SignalsHeldBack held_back;
  uint32_t idle = 0;
  if (!__atomic_compare_exchange_n(&fork_wiped.starting, &idle, 1, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) return;
  const uint64_t rate = RecorderState() == kNotStarted ? TakeRequest() : 0;
  if (rate != 0) Start(rate);
  __atomic_store_n(&fork_wiped.starting, 0, __ATOMIC_RELEASE);
}

}  // namespace

void AnswerRequests(const char* directory) {
  if (!TextBuilder(request_directory, sizeof(request_directory)).Add(directory).ok()) return;
  has_own_operators = AllocatorHasFunctions();
  SetDormantCheck(&LookForRequest);
}

}  // namespace cgoprof
