// Allocation, and loading and unloading, as the service does them under load.
#include "load.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { kSlots = 61, kBlocksAtOnce = 211 };

static size_t draw(uint64_t* state) {
  *state = *state * 6364136223846793005u + 1442695040888963407u;
  return *state >> 40;
}

void churn(int blocks, unsigned seed) {
  void* slots[kSlots] = {NULL};
  uint64_t state = seed;
  for (int i = 0; i < blocks; i++) {
    void** const slot = &slots[draw(&state) % kSlots];
    const size_t size = 1 + draw(&state) % (i % 16 == 0 ? 65537 : 1021);
    free(*slot);
    *slot = malloc(size);
    if (*slot == NULL) abort();
    memset(*slot, 1, size < 64 ? size : 64);
  }
  for (int i = 0; i < kSlots; i++) free(slots[i]);
}

static void* churning(void* seed) {
  const struct timespec rest = {.tv_nsec = 2000000};
  for (unsigned round = (uintptr_t)seed;; round += 8191) {
    churn(kBlocksAtOnce, round);
    nanosleep(&rest, NULL);
  }
  return NULL;
}

void churn_in_threads(int threads) {
  for (uintptr_t i = 0; i < (uintptr_t)threads; i++) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, churning, (void*)i) != 0) abort();
  }
}

int load_and_unload(const char* path) {
  void* const library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  return library != NULL && dlclose(library) == 0;
}

int leak_in_plugin(const char* path) {
  void* const library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (library == NULL) return 0;
  void (*const leak)(void) = (void (*)(void))dlsym(library, "plugin_leak");
  if (leak == NULL) return 0;
  leak();
  return 1;
}
