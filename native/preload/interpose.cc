// The hooks. Each does its counting and jumps into the real function; whatever is more than that is in a slow path of
// its own, out of line.
//
// Two rules keep the books right while other threads run, and signal handlers that call hooks inside the recorder:
//   - a block is taken out of the live set before it goes to the real free, because from then on the allocator may give
//     its address to another thread;
//   - realloc takes the record out before the call and puts it back if the call failed, because then the old block
//   lives.
#include "preload/hook.h"
#include "preload/real_alloc.h"
#include "preload/recorder.h"

#define CGOPROF_EXPORT extern "C" __attribute__((visibility("default")))

namespace cgoprof {
namespace {

CGOPROF_SLOW void* SampledMalloc(size_t size) { CGOPROF_RETURN_RECORDED(real.malloc(size), size); }

CGOPROF_SLOW void* SampledCalloc(size_t count, size_t size) {
  CGOPROF_RETURN_RECORDED(real.calloc(count, size), count * size);
}

CGOPROF_SLOW void* SampledAlignedAlloc(size_t alignment, size_t size) {
  CGOPROF_RETURN_RECORDED(real.aligned_alloc(alignment, size), size);
}

CGOPROF_SLOW void* SampledMemalign(size_t alignment, size_t size) {
  CGOPROF_RETURN_RECORDED(real.memalign(alignment, size), size);
}

CGOPROF_SLOW void* SampledValloc(size_t size) { CGOPROF_RETURN_RECORDED(real.valloc(size), size); }

CGOPROF_SLOW void* SampledPvalloc(size_t size) { CGOPROF_RETURN_RECORDED(real.pvalloc(size), size); }

CGOPROF_SLOW int SampledPosixMemalign(void** out, size_t alignment, size_t size) {
  const bool sampled = TakeSample(size);
  const int error = real.posix_memalign(out, alignment, size);
  if (sampled && error == 0) RecordAlloc(*out, size, CGOPROF_HOOK_FRAME());
  return error;
}

CGOPROF_SLOW void SampledFree(void* block) {
  ForgetBlock(block);
  real.free(block);
  thread_state.released = nullptr;
}

void Free(void* block) {
  if (MayBeSampled(block)) return SampledFree(block);
  real.free(block);
}

CGOPROF_SLOW void* SampledRealloc(void* block, size_t size, bool counted) {
  CGOPROF_RETURN_MOVED(real.realloc(block, size), block, size, counted);
}

}  // namespace
}  // namespace cgoprof

using namespace cgoprof;

CGOPROF_EXPORT void* malloc(size_t size) {
  if (CountDown(size)) return SampledMalloc(size);
  return real.malloc(size);
}

CGOPROF_EXPORT void* calloc(size_t count, size_t size) {
  size_t bytes;
  if (__builtin_mul_overflow(count, size, &bytes)) return real.calloc(count, size);
  if (CountDown(bytes)) return SampledCalloc(count, size);
  return real.calloc(count, size);
}

CGOPROF_EXPORT void* realloc(void* block, size_t size) {
  const bool counted = CountDown(size);
  if (counted || MayBeSampled(block)) return SampledRealloc(block, size, counted);
  return real.realloc(block, size);
}

CGOPROF_EXPORT void free(void* block) { Free(block); }

CGOPROF_EXPORT int posix_memalign(void** out, size_t alignment, size_t size) {
  if (CountDown(size)) return SampledPosixMemalign(out, alignment, size);
  return real.posix_memalign(out, alignment, size);
}

CGOPROF_EXPORT void* aligned_alloc(size_t alignment, size_t size) {
  if (CountDown(size)) return SampledAlignedAlloc(alignment, size);
  return real.aligned_alloc(alignment, size);
}

CGOPROF_EXPORT void* memalign(size_t alignment, size_t size) {
  if (CountDown(size)) return SampledMemalign(alignment, size);
  return real.memalign(alignment, size);
}

CGOPROF_EXPORT void* valloc(size_t size) {
  if (CountDown(size)) return SampledValloc(size);
  return real.valloc(size);
}

CGOPROF_EXPORT void* pvalloc(size_t size) {
  if (CountDown(size)) return SampledPvalloc(size);
  return real.pvalloc(size);
}

// C23, in glibc since 2.43. Programs that call them were built for a libc that has them, where they are free with a
// hint; freeing without the hint is always right.
CGOPROF_EXPORT void free_sized(void* block, size_t) { Free(block); }
CGOPROF_EXPORT void free_aligned_sized(void* block, size_t, size_t) { Free(block); }

// Not an allocation: tells the unwinder that its module table may be out of date, and nothing else. dlopen is not
// hooked; it looks at its return address to find out who calls.
CGOPROF_EXPORT int dlclose(void* handle) {
  NoteUnload();
  const int result = real.dlclose(handle);
  NoteUnload();
  return result;
}
