// What the hooks do with an allocation that is sampled, or a free whose block may have been: the slow paths, out of
// line.
//
// One recorder per process. Hooks work before it is started (allocations of the loader and of earlier constructors are
// passed on unrecorded), after it failed to start, and while it does not record.
#ifndef CGOPROF_PRELOAD_RECORDER_H_
#define CGOPROF_PRELOAD_RECORDER_H_

#include <stddef.h>
#include <stdint.h>

#include "preload/fork_wiped.h"
#include "preload/live_set.h"
#include "preload/sampler.h"
#include "preload/segment_writer.h"
#include "preload/stack_memory.h"

namespace cgoprof {

// Per thread. Zeros at first, which makes a new thread's first allocation take the slow path, where it draws its gap:
// a thread that started with a full gap of its own would be sampled too little, one that started at a point too much.
// Initial-exec TLS, which is never allocated lazily; no destructor, because hooks run until a thread's very end.
struct ThreadState {
  // Counted down by every allocation; sampled when it does not exceed the size. Below zero between the hook and
  // TakeSample, and for good if a signal handler jumps out from just there: then the next allocation is due.
  int64_t bytes_to_sample;
  RandomState random;
  HomeStack home;
  const void* released;  // the last block that came to a hook to be freed, if that had to look
  bool started;          // bytes_to_sample was drawn
};
static_assert(sizeof(ThreadState) <= 64);

// Hidden, so that the hot path reaches it without a look into the global offset table.
extern __attribute__((visibility("hidden"))) __thread ThreadState thread_state;

// True if the next `size` bytes hold a sample point (or the thread has not drawn one yet). The hot path of every
// allocation: one subtraction in thread-local storage and two branches on its flags, which the compiler will not make
// of it by itself.
inline bool CountDown(size_t size) {
#if defined(__x86_64__)
  // Not above the size, nor below zero. (One signed comparison would do, but for sizes that no allocator has: those
  // would count the other way.)
  __asm__ goto("subq %1, %0\n\tjbe %l[due]\n\tjs %l[due]"
               :
               : "m"(thread_state.bytes_to_sample), "er"(size)
               : "cc", "memory"
               : due);
  return false;
due:
  return true;
#else
  const uint64_t left = static_cast<uint64_t>(thread_state.bytes_to_sample);
  thread_state.bytes_to_sample = static_cast<int64_t>(left - size);
  return left <= size || thread_state.bytes_to_sample < 0;
#endif
}

// The hot path of every free: one byte of the filter is 0. (See LiveSet::MayContain; here in one comparison.)
inline bool MayBeSampled(const void* block) {
  const uint8_t* cell = &fork_wiped.filter[FilterIndex(reinterpret_cast<uintptr_t>(block))];
#if defined(__x86_64__) && !defined(__SANITIZE_THREAD__)
  __asm__ goto("cmpb $0, %0\n\tjne %l[maybe]" : : "m"(*cell) : "cc" : maybe);
  return false;
maybe:
  return true;
#else
  return __atomic_load_n(cell, __ATOMIC_RELAXED) != 0;
#endif
}

// Where the hook was called: the frame record that its slow path set up, see Registers in go_boundary.h.
// Valid only in functions that are compiled with frame pointers and were reached by jumps, not calls, from the hook.
#define CGOPROF_HOOK_FRAME() static_cast<const uintptr_t*>(__builtin_frame_address(0))

// What it is at.
RecordingState RecorderState();

// Makes a segment, and all that is needed to record into it; nothing is recorded yet. `is_go`: the main program is a Go
// program, whose stacks cross between C and Go. False if it cannot be done; nothing changes then. In a child process
// what is left of its parent's recorder is forgotten.
bool PrepareRecorder(const SegmentConfig& config, bool is_go);

// Takes that back, as long as nothing was recorded.
void AbandonRecorder();

// Records from now on.
void BeginRecording();

// Why the recorder could not be prepared, in a word that the tool knows (src/collect/start-failure.ts).
const char* RecorderFailure();

// ---- In a process that ran before (attach_run.cc, request_file.cc) ----

// From now on hooks are reached: whoever comes to one before BeginRecording stays due.
void AwaitHooks();

// Notes when that was, how much is in use that was allocated before (kUnknownBytes: nobody knows), and counts frees of
// that from now on, where every block is recorded. Right before BeginRecording.
void NoteAttachment(uint64_t bytes_before);

// The hooks are to be taken out: nothing is recorded any more.
void StopRecording();

// Before the hooks come in again: counts as freed what was in use when they were taken out, for frees went past them
// meanwhile, and has the modules looked at anew.
void ForgetLiveBlocks();

// What the tool wants of the recorder, as if it had written it into the segment.
void SetWish(SegmentWish wish);

// To be called now and then by a thread that allocates, as long as nothing was started. May start the recorder.
void SetDormantCheck(void (*check)());

// The header of the segment that is recorded into, and the segment's path.
const Header* RecorderHeader();
const char* RecorderPath();

// The process runs its exit handlers: notes it in the segment, and removes the file unless it is to be kept.
void FinishRecorder(bool keep_file);

// Decides whether an allocation for which CountDown returned true is sampled, and sets the countdown anew. `size` as
// given to CountDown. Called before the real allocation, so that a signal handler that jumps out of that (siglongjmp)
// leaves the countdown right.
bool TakeSample(size_t size);

// Records a sampled block. Keeps errno. `hook_frame` is CGOPROF_HOOK_FRAME() of the slow path. A signal handler may
// interrupt it, record on its own, and return or jump out: to all that is behind it that is one more thread.
void RecordAlloc(void* block, size_t size, const uintptr_t* hook_frame);

// Takes a block out of the live set before it goes back to the allocator. False if it was not sampled. The free is
// counted only when CountFree is called, so that a failed realloc can put the block back.
bool TakeBlock(void* block, LiveBlock* taken);
void CountFree(const LiveBlock& taken);
void PutBlockBack(void* block, const LiveBlock& taken);

// The program gives back a block that was not in the books.
void CountUnknownFree();

// Called around dlclose.
void NoteUnload();

}  // namespace cgoprof

#endif  // CGOPROF_PRELOAD_RECORDER_H_
