// A library that unload.c loads and unloads. It is built twice, so that one can take the other's place in memory.
#include <stdlib.h>

#ifndef UNLOADABLE_BYTES
#define UNLOADABLE_BYTES 7001
#endif

void* unloadable_leak(void) {
  char* volatile p = malloc(UNLOADABLE_BYTES);
  p[0] = 1;
  return p;
}
