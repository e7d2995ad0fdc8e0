#include "storm.h"

#include <stdlib.h>

#include "_cgo_export.h"

enum { BLOCKS = 100 };

static void** newest;

static void bottom(void) {
  for (int i = 0; i < BLOCKS; i++) {
    void* volatile block = malloc(17);  // site: churned
    free(block);
  }
}

void down(int levels) {
  if (levels == 0)
    bottom();
  else
    goDown(levels - 1);
  __asm__ volatile("");  // not at once: a tail call would leave no line of ours
}

// A list that several threads push onto, so that everything kept stays reachable.
void keep_one(void) {
  void** block = malloc(331);  // site: kept
  *block = __atomic_load_n(&newest, __ATOMIC_RELAXED);
  while (!__atomic_compare_exchange_n(&newest, (void***)block, block, 0, __ATOMIC_RELEASE, __ATOMIC_RELAXED)) {
  }
}
