// Frees a block behind the library's back, through libc's own name for free, and gets the same address again.
#include <stdlib.h>

extern void __libc_free(void*);

__attribute__((noinline)) static void* make(void) {
  void* volatile p = malloc(5003);
  return p;
}

int main(void) {
  void* first = make();
  __libc_free(first);
  void* second = make();
  return first != second;
}
