// A library of its own, built without frame pointers: only its .eh_frame leads from here back to the caller.
#include <stdlib.h>

__attribute__((noinline)) static void* allocate(size_t size) {
  void* volatile block = malloc(size);  // site: library
  return block;
}

void* noframe_make(void) {
  void* volatile block = allocate(1093);
  return block;
}
