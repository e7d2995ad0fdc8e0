// A library that allocates when it is loaded.
#include <stdlib.h>

static void* volatile kept;

__attribute__((constructor)) static void load(void) { kept = malloc(8009); }

void* late_leak(void) {
  void* volatile p = malloc(8011);
  return p;
}
