// An allocator that calls whoever asked for it before each malloc: from there a program can leave through the hooks.
#include <stddef.h>

extern void* __libc_malloc(size_t size);

void (*before_malloc)(size_t size);

void* malloc(size_t size) {
  if (before_malloc != NULL) before_malloc(size);
  return __libc_malloc(size);
}
