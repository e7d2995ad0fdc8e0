// The library that unload.c loads and unloads.
#include <stdlib.h>

void* unloadable_leak(void) {
  char* volatile p = malloc(7001);
  p[0] = 1;
  return p;
}
