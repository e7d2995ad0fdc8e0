// What every hook's slow path is made of. A slow path is reached by a jump from its hook, so that its frame stands
// right below the hook's caller; the files that define hooks are compiled for that, see CMakeLists.txt.
#ifndef CGOPROF_PRELOAD_HOOK_H_
#define CGOPROF_PRELOAD_HOOK_H_

#include <stddef.h>

#include "preload/recorder.h"

#define CGOPROF_SLOW __attribute__((noinline, cold))

// Allocates, and records the block that the hook is about to return if it is to be sampled. A macro, because the frame
// that it starts from must be that of the slow path itself.
#define CGOPROF_RETURN_RECORDED(allocate, size)                                      \
  do {                                                                               \
    const bool sampled = TakeSample(size);                                           \
    void* const block = allocate;                                                    \
    if (sampled && block != nullptr) RecordAlloc(block, size, CGOPROF_HOOK_FRAME()); \
    return block;                                                                    \
  } while (false)

// Moves `old_block`, which may be NULL, may have been sampled, and of which CountDown said whether the new one is to be
// (`counted`). A macro for the same reason.
#define CGOPROF_RETURN_MOVED(reallocate, old_block, size, counted)                                           \
  do {                                                                                                       \
    const bool sampled = (counted) && TakeSample(size);                                                      \
    LiveBlock taken;                                                                                         \
    const bool was_live = (old_block) != nullptr && MayBeSampled(old_block) && TakeBlock(old_block, &taken); \
    const bool is_known = IsReleasedAlready(old_block) || was_live;                                          \
    void* const moved = reallocate;                                                                          \
    thread_state.released = nullptr;                                                                         \
    if (was_live) SettleMovedBlock(old_block, taken, moved, size);                                           \
    if (!is_known && (moved != nullptr || (size) == 0)) CountUnknownFree();                                  \
    if (sampled && moved != nullptr) RecordAlloc(moved, size, CGOPROF_HOOK_FRAME());                         \
    return moved;                                                                                            \
  } while (false)

namespace cgoprof {

// Whether the block is NULL, or on its way to the allocator through a hook in this thread: the real function may come
// to another hook with it. From now on it is.
inline bool IsReleasedAlready(const void* block) {
  const bool already = block == nullptr || block == thread_state.released;
  thread_state.released = block;
  return already;
}

// Takes a block that is about to be freed out of the books.
inline void ForgetBlock(void* block) {
  LiveBlock taken;
  const bool already = IsReleasedAlready(block);
  if (block != nullptr && TakeBlock(block, &taken))
    CountFree(taken);
  else if (!already)
    CountUnknownFree();
}

// What became of a block that was taken out of the books before it was moved. NULL for a size of 0 means that it was
// freed; for any other size, that nothing changed.
inline void SettleMovedBlock(void* block, const LiveBlock& taken, const void* moved, size_t size) {
  if (moved != nullptr || size == 0)
    CountFree(taken);
  else
    PutBlockBack(block, taken);
}

}  // namespace cgoprof

#endif  // CGOPROF_PRELOAD_HOOK_H_
