// An allocator that may be called in signal handlers, which libc's may not: it hands out ever higher addresses of one
// reservation, and takes nothing back. To be preloaded behind the library.
#define _GNU_SOURCE
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

enum { kAlignment = 16 };
static const size_t kReserved = (size_t)64 << 30;

static char* start;
static size_t used;

// The size of a block stands in front of it.
static void* take(size_t size) {
  if (size > kReserved / 2) {
    errno = ENOMEM;
    return NULL;
  }
  char* region = __atomic_load_n(&start, __ATOMIC_ACQUIRE);
  if (region == NULL) {
    char* mapped = mmap(NULL, kReserved, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (__atomic_compare_exchange_n(&start, &region, mapped, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
      region = mapped;
    else
      munmap(mapped, kReserved);
  }
  const size_t bytes = kAlignment + (size + kAlignment - 1) / kAlignment * kAlignment;
  char* block = region + __atomic_fetch_add(&used, bytes, __ATOMIC_RELAXED) + kAlignment;
  ((size_t*)block)[-1] = size;
  return block;
}

void* malloc(size_t size) { return take(size); }

void free(void* block) { (void)block; }

void* calloc(size_t count, size_t size) {
  size_t bytes;
  if (!__builtin_mul_overflow(count, size, &bytes)) return take(bytes);  // fresh pages are zeros
  errno = ENOMEM;
  return NULL;
}

void* realloc(void* block, size_t size) {
  void* moved = take(size);
  if (block == NULL || moved == NULL) return moved;
  const size_t old = ((size_t*)block)[-1];
  return memcpy(moved, block, old < size ? old : size);
}
