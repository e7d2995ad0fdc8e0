// The blocks are never written to: the kernel gives them no pages, so a run is quick and small in spite of the bytes.
#include "sites.h"

#include <stdlib.h>

static void* volatile last;

static void keep(void* block) {
  if (!block) abort();
  last = block;
}

void leak_61(void) {
  for (int i = 0; i < 1000003; i++) keep(malloc(61));  // site: leak_61
}

void leak_1021(void) {
  for (int i = 0; i < 60013; i++) keep(malloc(1021));  // site: leak_1021
}

void leak_16381(void) {
  for (int i = 0; i < 3803; i++) keep(malloc(16381));  // site: leak_16381
}

void leak_262139(void) {
  for (int i = 0; i < 239; i++) keep(malloc(262139));  // site: leak_262139
}

void leak_1048583(void) {
  for (int i = 0; i < 61; i++) keep(malloc(1048583));  // site: leak_1048583
}
