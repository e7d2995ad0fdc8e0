// Each line with a "site" comment allocates 101 blocks per call; sites.json says of what size.
#define _GNU_SOURCE
#include "sites.h"

#include <stdlib.h>
#include <string.h>

enum { kBlocks = 101, kMost = 100003, kEarly = 211 };

static void* held[kMost];
static int count;

// Filled in by the loader before anybody could have looked.
static void* (*volatile pointer)(size_t) = malloc;

static void* hold(void* block) {
  if (block == NULL || count == kMost) abort();
  return held[count++] = block;
}

static __attribute__((noinline)) void leak_malloc(void) {
  for (int i = 0; i < kBlocks; i++) hold(malloc(1009));  // site: malloc
}

static __attribute__((noinline)) void leak_calloc(void) {
  for (int i = 0; i < kBlocks; i++) hold(calloc(1, 503));  // site: calloc
}

static __attribute__((noinline)) void leak_realloc(void) {
  for (int i = 0; i < kBlocks; i++) {
    void* const old = malloc(67);  // site: moved
    hold(realloc(old, 2003));      // site: realloc
  }
}

static __attribute__((noinline)) void leak_aligned(void) {
  for (int i = 0; i < kBlocks; i++) {
    void* block = NULL;
    if (posix_memalign(&block, 64, 4001) != 0) abort();  // site: aligned
    hold(block);
  }
}

static __attribute__((noinline)) void leak_in_libc(void) {
  static const char text[] =
      "ninety-six characters, of which strdup makes a copy: ninety-seven bytes, as the last one is zero";
  _Static_assert(sizeof(text) == 97, "");
  for (int i = 0; i < kBlocks; i++) hold(strdup(text));  // site: strdup
}

static __attribute__((noinline)) void leak_by_pointer(void) {
  for (int i = 0; i < kBlocks; i++) hold(pointer(307));  // site: pointer
}

void leak_all(void) {
  leak_malloc();
  leak_calloc();
  leak_realloc();
  leak_aligned();
  leak_in_libc();
  leak_by_pointer();
}

void release_all(void) {
  while (count > 0) free(held[--count]);
}

static void* early[kEarly];

void leak_early(void) {
  for (int i = 0; i < kEarly; i++) early[i] = malloc(10007);
}

void release_early(void) {
  for (int i = 0; i < kEarly; i++) {
    free(early[i]);
    early[i] = NULL;
  }
}
