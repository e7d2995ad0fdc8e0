// An allocator whose functions are chosen by resolvers (STT_GNU_IFUNC). Its blocks begin with a mark, so that one that
// comes from or goes to another allocator is noticed; when the process ends it says how many it has made.
#define _GNU_SOURCE
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

extern void* __libc_memalign(size_t alignment, size_t size);
extern void __libc_free(void* block);

#define SMALLEST 32  // room for the mark, and libc's alignment

struct mark {
  uint64_t value;
  uint32_t alignment;
  uint32_t size;
};

static const uint64_t kMark = 0x1f07c0a110ca7ed5;
static unsigned made;

static struct mark* mark_of(void* block) {
  struct mark* mark = (struct mark*)block - 1;
  if (mark->value != kMark) abort();
  return mark;
}

static void* make(size_t alignment, size_t size) {
  if (alignment < SMALLEST) alignment = SMALLEST;
  char* start = __libc_memalign(alignment, alignment + size);
  if (start == NULL) return NULL;
  const struct mark mark = {kMark, (uint32_t)alignment, (uint32_t)size};
  memcpy(start + alignment - sizeof(mark), &mark, sizeof(mark));
  __atomic_fetch_add(&made, 1, __ATOMIC_RELAXED);
  return start + alignment;
}

static void my_free(void* block) {
  if (block == NULL) return;
  struct mark* mark = mark_of(block);
  mark->value = 0;
  __libc_free((char*)block - mark->alignment);
}

static void* my_malloc(size_t size) { return make(0, size); }
static void* my_calloc(size_t count, size_t size) {
  void* block = make(0, count * size);
  return block != NULL ? memset(block, 0, count * size) : NULL;
}
static void* my_realloc(void* block, size_t size) {
  void* moved = make(0, size);
  if (block == NULL || moved == NULL) return moved;
  const size_t kept = mark_of(block)->size;
  memcpy(moved, block, kept < size ? kept : size);
  my_free(block);
  return moved;
}
static int my_posix_memalign(void** out, size_t alignment, size_t size) {
  *out = make(alignment, size);
  return *out != NULL ? 0 : ENOMEM;
}
static void* my_memalign(size_t alignment, size_t size) { return make(alignment, size); }
static void* my_aligned_alloc(size_t alignment, size_t size) { return make(alignment, size); }
static void* my_valloc(size_t size) { return make(4096, size); }
static void* my_pvalloc(size_t size) { return make(4096, size); }

// A resolver reads its answer from memory that is right only once this library is relocated.
#define CHOSEN_BY_RESOLVER(name)                                              \
  static __typeof__(my_##name)* const volatile chosen_##name = my_##name;     \
  static __typeof__(my_##name)* choose_##name(void) { return chosen_##name; } \
  __attribute__((ifunc("choose_" #name))) extern __typeof__(my_##name) name;
CHOSEN_BY_RESOLVER(malloc)
CHOSEN_BY_RESOLVER(calloc)
CHOSEN_BY_RESOLVER(realloc)
CHOSEN_BY_RESOLVER(free)
CHOSEN_BY_RESOLVER(posix_memalign)
CHOSEN_BY_RESOLVER(aligned_alloc)
CHOSEN_BY_RESOLVER(memalign)
CHOSEN_BY_RESOLVER(valloc)
CHOSEN_BY_RESOLVER(pvalloc)

__attribute__((destructor)) static void report(void) { dprintf(STDOUT_FILENO, "%u blocks made\n", made); }
