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
    void* const moved = reallocate;                                                                          \
    SettleMovedBlock(old_block, was_live ? &taken : nullptr, moved, size);                                   \
    if (sampled && moved != nullptr) RecordAlloc(moved, size, CGOPROF_HOOK_FRAME());                         \
    return moved;                                                                                            \
  } while (false)

namespace cgoprof {

// Takes a block that is about to be freed out of the books.
inline void ForgetBlock(void* block) {
  LiveBlock taken;
  if (block == nullptr) return;
  if (TakeBlock(block, &taken))
    CountFree(taken);
  else
    CountUnknownFree();
}

// What became of a block, taken out of the books before it was moved if it was there (`taken`). NULL for a size of 0
// means that it was freed; for any other size, that nothing changed.
inline void SettleMovedBlock(void* block, const LiveBlock* taken, const void* moved, size_t size) {
  const bool is_gone = moved != nullptr || size == 0;
  if (taken == nullptr) {
    if (is_gone && block != nullptr) CountUnknownFree();
  } else if (is_gone) {
    CountFree(*taken);
  } else {
    PutBlockBack(block, *taken);
  }
}

}  // namespace cgoprof

#endif  // CGOPROF_PRELOAD_HOOK_H_
