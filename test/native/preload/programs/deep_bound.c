// A plugin that is loaded with RTLD_DEEPBIND: its malloc and free are libc's, whatever was preloaded.
#include <stdlib.h>

void* deep_bound_make(void) {
  void* volatile p = malloc(6529);
  return p;
}
void deep_bound_free(void* block) { free(block); }
