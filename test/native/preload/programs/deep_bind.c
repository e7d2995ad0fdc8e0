// Loads a plugin with RTLD_DEEPBIND, whose calls go past us, and frees its blocks as it frees ours: deep_bind PLUGIN
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>

#define BLOCKS 101

static void* blocks[BLOCKS];

int main(int argc, char** argv) {
  void* plugin = argc == 2 ? dlopen(argv[1], RTLD_NOW | RTLD_DEEPBIND) : NULL;
  if (plugin == NULL) return 2;
  void* (*make)(void) = (void* (*)(void))dlsym(plugin, "deep_bound_make");
  void (*free_there)(void*) = (void (*)(void*))dlsym(plugin, "deep_bound_free");
  if (make == NULL || free_there == NULL) return 3;
  for (int i = 0; i < BLOCKS; i++) blocks[i] = make();
  for (int i = 0; i < BLOCKS; i++) free(blocks[i]);
  for (int i = 0; i < BLOCKS; i++) blocks[i] = malloc(5003);
  for (int i = 0; i < BLOCKS; i++) free_there(blocks[i]);
  // The same addresses again, this time for good.
  for (int i = 0; i < BLOCKS; i++) blocks[i] = malloc(5009);
  return blocks[BLOCKS - 1] == NULL;
}
