// Every function of the malloc family at lines of its own, at its edges too. No call is a function's last act: a jump
// would leave no line.
#include "sites.h"

#include <errno.h>
#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>

// More than there is, and more than a size_t holds when there are two of it. The compiler must not see them, or it
// knows what the calls return.
static volatile size_t nothing = 0;
static volatile size_t too_big = (size_t)PTRDIFF_MAX + 1;
static volatile size_t half_of_all = SIZE_MAX / 2 + 1;

static size_t by_malloc(void** block, size_t size) {
  *block = malloc(size);  // site: malloc
  return size;
}

static size_t by_malloc_fixed(void** block, size_t size) {
  *block = malloc(4099);  // site: malloc-fixed
  (void)size;
  return 4099;
}

static size_t by_malloc_empty(void** block, size_t size) {
  *block = malloc(nothing);  // site: malloc-empty
  (void)size;
  return 0;
}

static size_t by_calloc(void** block, size_t size) {
  *block = calloc(3, size / 3);  // site: calloc
  return size / 3 * 3;
}

static size_t by_calloc_empty(void** block, size_t size) {
  *block = calloc(size, nothing);  // site: calloc-empty
  return 0;
}

static size_t by_realloc_of_null(void** block, size_t size) {
  *block = realloc(NULL, size);  // site: realloc-of-null
  return size;
}

static size_t by_reallocarray_of_null(void** block, size_t size) {
  *block = reallocarray(NULL, 5, size / 5);  // site: reallocarray-of-null
  return size / 5 * 5;
}

static size_t by_posix_memalign(void** block, size_t size) {
  int error = posix_memalign(block, (size_t)16 << size % 8, size);  // site: posix_memalign
  if (error) abort();
  return size;
}

static size_t by_aligned_alloc(void** block, size_t size) {
  *block = aligned_alloc(64, size);  // site: aligned_alloc
  return size;
}

static size_t by_memalign(void** block, size_t size) {
  *block = memalign((size_t)32 << size % 6, size);  // site: memalign
  return size;
}

static size_t by_valloc(void** block, size_t size) {
  *block = valloc(size);  // site: valloc
  return size;
}

static size_t by_pvalloc(void** block, size_t size) {
  *block = pvalloc(size);  // site: pvalloc
  return size;
}

static size_t by_realloc(void** block, size_t size) {
  *block = realloc(*block, size + 1);  // site: realloc
  return size + 1;
}

static size_t by_realloc_a_little(void** block, size_t size) {
  size_t bytes = malloc_usable_size(*block) + size % 7 + 1;
  *block = realloc(*block, bytes);  // site: realloc-a-little
  return bytes;
}

static size_t by_reallocarray(void** block, size_t size) {
  *block = reallocarray(*block, size % 97 + 1, 11);  // site: reallocarray
  return (size % 97 + 1) * 11;
}

static size_t by_free(void** block, size_t size) {
  free(*block);  // site: free
  *block = NULL;
  (void)size;
  return 0;
}

static size_t by_realloc_to_nothing(void** block, size_t size) {
  *block = realloc(*block, nothing);  // site: realloc-to-nothing
  (void)size;
  return 0;
}

static size_t refused_malloc(void** block, size_t size) {
  void* volatile none = malloc(too_big + size);  // site: refused-malloc
  if (none) abort();
  (void)block;
  return 0;
}

static size_t refused_calloc(void** block, size_t size) {
  void* volatile none = calloc(half_of_all, size + 2);  // site: refused-calloc
  if (none) abort();
  (void)block;
  return 0;
}

static size_t refused_realloc(void** block, size_t size) {
  void* volatile none = realloc(*block, too_big + size);  // site: refused-realloc
  if (none) abort();
  return 0;
}

static size_t refused_reallocarray(void** block, size_t size) {
  void* volatile none = reallocarray(*block, half_of_all, size + 2);  // site: refused-reallocarray
  if (none) abort();
  return 0;
}

static size_t refused_posix_memalign(void** block, size_t size) {
  int error = posix_memalign(block, 24, size);  // site: refused-posix_memalign
  if (error != EINVAL) abort();
  return 0;
}

static size_t refused_aligned_alloc(void** block, size_t size) {
  void* volatile none = aligned_alloc(64, too_big + size);  // site: refused-aligned_alloc
  if (none) abort();
  (void)block;
  return 0;
}

const struct site sites[SITES] = {
    {"malloc", MAKES, 0, by_malloc},
    {"malloc-fixed", MAKES, 0, by_malloc_fixed},
    {"malloc-empty", MAKES, 0, by_malloc_empty},
    {"calloc", MAKES, 0, by_calloc},
    {"calloc-empty", MAKES, 0, by_calloc_empty},
    {"realloc-of-null", MAKES, 0, by_realloc_of_null},
    {"reallocarray-of-null", MAKES, 0, by_reallocarray_of_null},
    {"posix_memalign", MAKES, 0, by_posix_memalign},
    {"aligned_alloc", MAKES, 0, by_aligned_alloc},
    {"memalign", MAKES, 0, by_memalign},
    {"valloc", MAKES, 0, by_valloc},
    {"pvalloc", MAKES, 0, by_pvalloc},
    {"realloc", RESIZES, 1, by_realloc},
    {"realloc-a-little", RESIZES, 1, by_realloc_a_little},
    {"reallocarray", RESIZES, 1, by_reallocarray},
    {"free", RELEASES, 1, by_free},
    {"realloc-to-nothing", RELEASES, 1, by_realloc_to_nothing},
    {"refused-malloc", REFUSES, 0, refused_malloc},
    {"refused-calloc", REFUSES, 0, refused_calloc},
    {"refused-realloc", REFUSES, 1, refused_realloc},
    {"refused-reallocarray", REFUSES, 1, refused_reallocarray},
    {"refused-posix_memalign", REFUSES, 0, refused_posix_memalign},
    {"refused-aligned_alloc", REFUSES, 0, refused_aligned_alloc},
};
