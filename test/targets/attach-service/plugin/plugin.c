// A library that is loaded while the service runs: its constructor allocates, and it has a line that leaks.
#include <stdlib.h>

static void* kept;
static void* volatile leaked[10007];
static int count;

__attribute__((constructor)) static void load(void) {
  kept = malloc(1511);  // site: constructor
}

__attribute__((destructor)) static void unload(void) { free(kept); }

void plugin_leak(void) {
  for (int i = 0; i < 101; i++) leaked[count++ % 10007] = malloc(4099);  // site: plugin
}
