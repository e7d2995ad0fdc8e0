// See recorder.h.
#include "preload/recorder.h"

#include <cpuid.h>
#include <string.h>

#include "preload/bucket_table.h"
#include "preload/clock.h"
#include "preload/go_functions.h"
#include "preload/modules.h"
#include "preload/raw_syscall.h"
#include "preload/unwinder.h"

namespace cgoprof {

__thread ThreadState thread_state;
ForkWiped fork_wiped;

namespace {

struct Recorder {
  SegmentWriter segment;
  BucketTable buckets;
  LiveSet live;
  ModuleTable modules;
  GoFunctions go_functions;
  GoBoundary boundary;
  Unwinder unwinder;
  uint64_t rate;
  bool can_fork;     // without harm to the child
  bool is_complete;  // every block in use is in the books, or counted as unknown when it is freed
};
Recorder recorder;  // zeros until PrepareRecorder; pages that are not used cost nothing

void (*dormant_check)();

// While the recorder is off, threads look again whether it was switched on after this many bytes: those of a process
// that may start it by itself, and those of a child of one that was attached to, for whom there is nothing to read.
constexpr int64_t kRecheckBytes = 16 << 20;
constexpr int64_t kRecheckBytesOfChild = 64 << 10;

RecordingState State() { return static_cast<RecordingState>(__atomic_load_n(&fork_wiped.recording, __ATOMIC_ACQUIRE)); }

void SetState(RecordingState state) { __atomic_store_n(&fork_wiped.recording, state, __ATOMIC_RELEASE); }

// Of several threads that see the same reason for it, one changes it.
bool ChangeState(RecordingState from, RecordingState to) {
  uint32_t expected = from;
  return __atomic_compare_exchange_n(&fork_wiped.recording, &expected, to, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

bool IsRecording() { return State() == kRecording; }

bool IsPauseWished() { return __atomic_load_n(&recorder.segment.header()->wish, __ATOMIC_RELAXED) == kWishPause; }

uint64_t UnixNanoseconds() { return ClockNanoseconds(CLOCK_REALTIME_COARSE); }

void InitGo() {
  const LoadedModule* program = recorder.modules.executable();
  if (program == nullptr) return;
  if (!FindGoFunctions(program->bias, program->start, program->end, &recorder.go_functions)) return;
  recorder.boundary.Init(&recorder.go_functions, program->segment_id);
  recorder.modules.MarkExecutableAsGo();
}

// What the bucket table counts with; the first amd64 processors did without.
bool HasWideSwap() {
  uint32_t eax, ebx, ecx, edx;
  return __get_cpuid(1, &eax, &ebx, &ecx, &edx) != 0 && (ecx & bit_CMPXCHG16B) != 0;
}

void CountStackFlags(uint8_t flags) {
  if ((flags & kStackTruncated) != 0) recorder.segment.Count(kTruncatedStacks);
  if ((flags & kStackGoUnreachable) != 0) recorder.segment.Count(kGoBoundaryFailed);
}

void Record(uintptr_t address, size_t size, const Registers& caller) {
  Stack stack;
  recorder.modules.RefreshIfStale();
  recorder.unwinder.Walk(caller, &thread_state.home, &stack);
  uint32_t bucket = recorder.buckets.Find(stack, size);
  if (bucket == BucketTable::kNone) {
    recorder.segment.Count(kDroppedBuckets);
    bucket = recorder.buckets.FindWithoutStack(size);
    if (bucket == BucketTable::kNone) return;
  }
  CountStackFlags(stack.flags);
  LiveBlock stale;
  if (LiveSet::MayContain(fork_wiped.filter, address) && recorder.live.Take(address, &stale)) {
    // The allocator handed out an address that is live in our books: its free went past us.
    recorder.buckets.AddFree(stale.bucket, stale.size);
    recorder.segment.Count(kMissedFrees);
  }
  recorder.buckets.AddAlloc(bucket, size);
  const uint64_t now = UnixNanoseconds();
  __atomic_store_n(&recorder.segment.header()->last_sample_unix_ns, now, __ATOMIC_RELAXED);
  if (!recorder.live.Insert(address, {size, now, bucket})) {
    // Whether it is still in use will not be known, so it counts as allocated and freed.
    recorder.buckets.AddFree(bucket, size);
    recorder.segment.Count(kDroppedLive);
  }
}

// In a child process: what its parent had is not the child's. (A recorder that never was one has no rate.)
void ForgetParentsRecorder() {
  if (recorder.rate != 0) memset(&recorder, 0, sizeof(recorder));
}

// Does what the tool wishes by now.
__attribute__((noinline, cold)) void FollowWish() {
  switch (State()) {
    case kNotStarted:
      if (dormant_check != nullptr) dormant_check();
      return;
    case kRecording:
      if (IsPauseWished() && ChangeState(kRecording, kPaused)) recorder.segment.SetState(kStatePaused);
      return;
    case kPaused:
      if (!IsPauseWished() && ChangeState(kPaused, kRecording)) recorder.segment.SetState(kStateRunning);
      return;
    default:
      return;
  }
}

// Until when a thread does not look again. Where a thread of the tool's lets recording begin, whoever comes to a hook
// before stays due: it would not see the beginning.
int64_t BytesToRecheck() {
  const bool looks_by_itself = dormant_check != nullptr;
  if (looks_by_itself) return kRecheckBytes;
  return State() == kNotStarted ? kRecheckBytesOfChild : 0;
}

}  // namespace

RecordingState RecorderState() { return State(); }

bool PrepareRecorder(const SegmentConfig& config, bool is_go) {
  ForgetParentsRecorder();
  recorder.can_fork = WipeOnFork(&fork_wiped);
  if (!HasWideSwap() || !recorder.can_fork || !recorder.segment.Create(config)) return false;
  recorder.rate = config.sample_rate;
  recorder.buckets.Init(&recorder.segment);
  recorder.buckets.ReserveWithoutStack();
  recorder.live.Init(&recorder.segment, fork_wiped.filter);
  recorder.modules.Init(&recorder.segment);
  if (is_go) InitGo();
  recorder.unwinder.Init(&recorder.modules, &recorder.boundary, config.sample_rate < kDenseRate);
  return true;
}

void AbandonRecorder() {
  SetState(kNotStarted);
  recorder.segment.Destroy();
}

void BeginRecording() {
  recorder.segment.SetState(kStateRunning);
  SetState(kRecording);
  thread_state.bytes_to_sample = 0;
}

const char* RecorderFailure() {
  if (!HasWideSwap()) return "processor";
  return recorder.can_fork ? recorder.segment.failure() : "kernel";
}

void AwaitHooks() { SetState(kAwaiting); }

void NoteAttachment(uint64_t bytes_before) {
  Header* const header = recorder.segment.header();
  __atomic_store_n(&header->before_attach_bytes, bytes_before, __ATOMIC_RELAXED);
  __atomic_store_n(&header->attached_unix_ns, ClockNanoseconds(CLOCK_REALTIME), __ATOMIC_RELAXED);
  __atomic_fetch_add(&header->attachments, 1, __ATOMIC_RELEASE);
  recorder.is_complete = recorder.rate == 1;
  // The live set is ready: from here on every free asks it.
  __atomic_thread_fence(__ATOMIC_RELEASE);
  if (recorder.is_complete) memset(fork_wiped.filter, kSaturated, sizeof(fork_wiped.filter));
}

void StopRecording() {
  SetWish(kWishPause);
  SetState(kDetached);
  recorder.segment.SetState(kStatePaused);
}

void ForgetLiveBlocks() {
  memset(fork_wiped.filter, 0, sizeof(fork_wiped.filter));
  LiveBlock block;
  for (uint64_t i = recorder.live.entries(); i-- > 0;) {
    if (recorder.live.TakeAny(i, &block)) CountFree(block);
  }
  recorder.modules.NoteUnload();
}

void SetWish(SegmentWish wish) { __atomic_store_n(&recorder.segment.header()->wish, wish, __ATOMIC_RELEASE); }

void SetDormantCheck(void (*check)()) { dormant_check = check; }

const Header* RecorderHeader() { return recorder.segment.header(); }

const char* RecorderPath() { return recorder.segment.path(); }

void FinishRecorder(bool keep_file) {
  const RecordingState state = State();
  if (state == kNotStarted || state == kAwaiting) return;
  recorder.segment.SetState(kStateExited);
  if (!keep_file) recorder.segment.Unlink();
}

bool TakeSample(size_t size) {
  ThreadState* thread = &thread_state;
  if (__builtin_expect(!IsRecording() || IsPauseWished(), 0)) {
    FollowWish();
    if (!IsRecording()) {
      thread->bytes_to_sample = BytesToRecheck();
      thread->started = false;
      return false;
    }
  }
  if (!thread->started) {
    const uint64_t tid = static_cast<uint64_t>(RawSyscall(SYS_gettid));
    thread->random = SeedRandom(UnixNanoseconds() ^ reinterpret_cast<uintptr_t>(thread) ^ tid << 48);
    // A signal handler from here on draws from that state, too.
    __atomic_store_n(&thread->started, true, __ATOMIC_RELEASE);
    const uint64_t gap = NextGap(recorder.rate, &thread->random);
    if (size < gap) {
      thread->bytes_to_sample = static_cast<int64_t>(gap - size);
      return false;
    }
  }
  thread->bytes_to_sample = static_cast<int64_t>(NextGap(recorder.rate, &thread->random));
  return true;
}

void RecordAlloc(void* block, size_t size, const uintptr_t* hook_frame) {
  // A frame record: the caller's frame pointer, the return address; above it the caller's stack.
  const Registers caller = {hook_frame[1], reinterpret_cast<uintptr_t>(hook_frame + 2), hook_frame[0]};
  Record(reinterpret_cast<uintptr_t>(block), size, caller);
}

bool TakeBlock(void* block, LiveBlock* taken) { return recorder.live.Take(reinterpret_cast<uintptr_t>(block), taken); }

void CountFree(const LiveBlock& taken) { recorder.buckets.AddFree(taken.bucket, taken.size); }

void PutBlockBack(void* block, const LiveBlock& taken) {
  if (recorder.live.Insert(reinterpret_cast<uintptr_t>(block), taken)) return;
  recorder.buckets.AddFree(taken.bucket, taken.size);
  recorder.segment.Count(kDroppedLive);
}

void CountUnknownFree() {
  if (recorder.is_complete && IsRecording()) recorder.segment.Count(kUnknownFrees);
}

void NoteUnload() {
  if (State() != kNotStarted) recorder.modules.NoteUnload();
}

}  // namespace cgoprof
