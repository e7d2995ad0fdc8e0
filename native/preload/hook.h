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

namespace cgoprof {

// Takes a block that is about to be freed out of the books.
inline void ForgetBlock(void* block) {
  LiveBlock taken;
  if (block != nullptr && TakeBlock(block, &taken)) CountFree(taken);
}

}  // namespace cgoprof

#endif  // CGOPROF_PRELOAD_HOOK_H_
