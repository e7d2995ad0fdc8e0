// AttachRun of shared/attach_mailbox.h: puts the hooks into a process that runs already, or takes them out, on a thread
// that was started for that, and ends with it.
//
// The order in which it is done: the segment is made, the hooks come in (whoever reaches one before the next step stays
// due), the allocator says what is in use, recording begins. The other way round: recording ends, the hooks go out.
#include "preload/attach_run.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

#include <initializer_list>

#include "preload/allocator_account.h"
#include "preload/allocator_functions.h"
#include "preload/clock.h"
#include "preload/family.h"
#include "preload/fork_wiped.h"
#include "preload/loaded_library.h"
#include "preload/raw_syscall.h"
#include "preload/real_alloc.h"
#include "preload/recorder.h"
#include "preload/redirect.h"
#include "preload/sampler.h"
#include "preload/segment_writer.h"
#include "preload/start.h"
#include "preload/text.h"
#include "shared/attach_mailbox.h"

namespace cgoprof {
namespace {

void Nap(long milliseconds) {
  const struct timespec nap = {0, milliseconds * 1000000};
  RawSyscall(SYS_nanosleep, PointerArg(&nap));
}

// ---- One at a time ----

enum AttachTurn : uint32_t { kNobody = 0, kActing = 1, kLookingAgain = 2 };

// False while another thread acts, for another tool. One that looks again is soon done.
bool TakeTurn(AttachTurn turn) {
  constexpr int kMostNaps = 1000;
  for (int i = 0; i < kMostNaps; i++) {
    uint32_t holder = kNobody;
    if (__atomic_compare_exchange_n(&fork_wiped.attaching, &holder, turn, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
      return true;
    if (holder == kActing) return false;
    Nap(1);
  }
  return false;
}

void EndTurn() { __atomic_store_n(&fork_wiped.attaching, kNobody, __ATOMIC_RELEASE); }

// ---- Attach ----

// Not in memory that a child process finds wiped: it inherits hooks with the rest.
bool hooks_are_in;
// What to redirect is known, all of it: a child that was forked before finds the rest. It is found once, when the
// program's libraries were least likely overwritten.
bool hooks_are_known;

bool PutHooksIn() {
  hooks_are_in = hooks_are_known && RedirectAgain();
  if (hooks_are_known) return hooks_are_in;
  if (!HookMallocFamily()) return false;
  HookAllocatorFunctions();
  hooks_are_known = hooks_are_in = true;
  return true;
}

bool TakeHooksOut() {
  const bool undone = UndoRedirections();
  hooks_are_in = !undone;
  return undone;
}

// A word for AttachMailbox::failure; nullptr: all went well.
const char* AttachAnew(const AttachMailbox& mailbox) {
  char directory[kMaxPathBytes];
  TextBuilder given(directory, sizeof(directory));
  const bool named =
      mailbox.directory[0] != '\0' ? given.Add(mailbox.directory).ok() : DefaultDirectory(directory, sizeof(directory));
  if (!named) return "directory";
  if (const char* why = ResolveMallocFamily()) return why;
  const uint64_t rate = mailbox.rate != 0 ? mailbox.rate : kDefaultSampleRate;
  if (!PrepareInDirectory({directory, rate, /*run_id=*/0, /*is_kept=*/false})) return RecorderFailure();
  AwaitHooks();
  if (PutHooksIn()) return nullptr;
  TakeHooksOut();
  AbandonRecorder();
  return "relocations";
}

const char* AttachAgain() {
  ForgetLiveBlocks();
  AwaitHooks();
  if (PutHooksIn()) return nullptr;
  TakeHooksOut();
  StopRecording();
  return "relocations";
}

// Right before recording begins, so that what it says and what is recorded meet.
void AskAllocator(AttachMailbox* mailbox) {
  const uint64_t start = ClockNanoseconds(CLOCK_MONOTONIC);
  NoteAttachment((mailbox->flags & kSkipAccount) == 0 ? BytesInUse() : kUnknownBytes);
  mailbox->account_ns = ClockNanoseconds(CLOCK_MONOTONIC) - start;
}

const char* Attach(AttachMailbox* mailbox) {
  const RecordingState state = RecorderState();
  if (state != kNotStarted && mailbox->rate != 0 && mailbox->rate != RecorderHeader()->sample_rate) return "rate";
  if (state == kRecording && RecorderHeader()->wish == kWishRecord) return "recording";
  if (state == kRecording || state == kPaused) {
    SetWish(kWishRecord);
    BeginRecording();
    return nullptr;
  }
  if (const char* why = state == kNotStarted ? AttachAnew(*mailbox) : AttachAgain()) return why;
  AskAllocator(mailbox);
  SetWish(kWishRecord);
  BeginRecording();
  return nullptr;
}

const char* Detach() {
  const RecordingState state = RecorderState();
  const bool failed_before = state == kDetached && hooks_are_in;
  if (state != kRecording && state != kPaused && !failed_before) return "not-attached";
  StopRecording();
  return TakeHooksOut() ? nullptr : "relocations";
}

// ---- The mailbox ----

const char* Act(AttachMailbox* mailbox) {
  if (mailbox->version != kMailboxVersion) return "version";
  if (!IsAttached()) return "preloaded";
  if (__atomic_load_n(&mailbox->cancelled, __ATOMIC_ACQUIRE) != 0) return "cancelled";
  if (!TakeTurn(kActing)) return "busy";
  __atomic_fetch_add(&fork_wiped.attach_turns, 1, __ATOMIC_RELAXED);
  const uint64_t before = PlacesChanged();
  const char* const why = mailbox->action == kDetachAction ? Detach() : Attach(mailbox);
  mailbox->patched = PlacesChanged() - before;
  EndTurn();
  return why;
}

void Answer(AttachMailbox* mailbox, const char* why) {
  if (why != nullptr)
    TextBuilder(mailbox->failure, sizeof(mailbox->failure)).Add(why);
  else
    TextBuilder(mailbox->segment, sizeof(mailbox->segment)).Add(RecorderPath());
  __atomic_store_n(&mailbox->progress, why != nullptr ? kMailFailed : kMailDone, __ATOMIC_RELEASE);
}

// A thread that looked a function up before may store its address only now: another look, as long as nobody else acted
// meanwhile.
void LookAgain(uint32_t turn) {
  for (long milliseconds : {10, 90}) {
    Nap(milliseconds);
    if (!TakeTurn(kLookingAgain)) return;
    const bool is_ours = __atomic_load_n(&fork_wiped.attach_turns, __ATOMIC_RELAXED) == turn;
    if (is_ours && hooks_are_in) RedirectAgain();
    if (is_ours && !hooks_are_in) UndoRedirections();
    EndTurn();
    if (!is_ours) return;
  }
}

void Unmap(uint64_t start, uint64_t bytes) {
  if (start != 0) RawSyscall(SYS_munmap, static_cast<long>(start), static_cast<long>(bytes));
}

// What the tool mapped for this thread. The tool may be gone: then the area stays.
void LeaveArea(const AttachMailbox* mailbox) {
  constexpr int kMostNaps = 5000;
  Unmap(mailbox->load_code, mailbox->load_code_bytes);
  for (int i = 0; i < kMostNaps; i++) {
    if (__atomic_load_n(&mailbox->released, __ATOMIC_ACQUIRE) != 0) return Unmap(mailbox->area, mailbox->area_bytes);
    Nap(1);
  }
}

using Run = void* (*)(AttachMailbox* mailbox);

// AttachRun of a copy of the library that was loaded before this one; nullptr: there is none.
Run earlier_copy;

}  // namespace

void NoteEarlierCopy() {
  const FoundFunction found = FindFirst({_r_debug.r_map, nullptr}, kAttachRunName);
  if (found.library == nullptr || found.library == OwnLibrary()) return;
  earlier_copy = reinterpret_cast<Run>(FunctionAddress(*found.library, *found.symbol));
}

}  // namespace cgoprof

using namespace cgoprof;

extern "C" __attribute__((visibility("default"))) void* CGOPROF_ATTACH_RUN(AttachMailbox* mailbox) {
  if (earlier_copy != nullptr) return earlier_copy(mailbox);
  using PthreadDetach = int (*)(void* thread);
  const PthreadDetach detach = reinterpret_cast<PthreadDetach>(mailbox->pthread_detach);
  if (detach != nullptr) detach(__builtin_thread_pointer());
  RawSyscall(SYS_prctl, PR_SET_NAME, PointerArg("cgoprof"));
  if (mailbox->library_fd >= 0) RawSyscall(SYS_close, mailbox->library_fd);
  __atomic_store_n(&mailbox->progress, kMailLoaded, __ATOMIC_RELEASE);
  const char* const why = Act(mailbox);
  const uint32_t turn = __atomic_load_n(&fork_wiped.attach_turns, __ATOMIC_RELAXED);
  Answer(mailbox, why);
  if (why == nullptr) LookAgain(turn);
  LeaveArea(mailbox);
  return nullptr;
}
