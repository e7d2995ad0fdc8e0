// Sites in plain C. Every size and every count is a prime of its own, so that no sum of other sites gives the same
// bytes.
#define _GNU_SOURCE
#include "sites.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void* volatile kept[1 << 16];
static unsigned kept_count;

void keep(void* block) {
  unsigned slot = __atomic_fetch_add(&kept_count, 1, __ATOMIC_RELAXED);
  if (!block || slot >= sizeof kept / sizeof kept[0]) abort();
  kept[slot] = block;
}

void leak_plain(void) {
  for (int i = 0; i < 103; i++) keep(malloc(1009));  // site: plain
}

static inline __attribute__((always_inline)) void* inlined_malloc(size_t size) {
  return malloc(size);  // site: inlined
}

void leak_inlined(void) {
  for (int i = 0; i < 107; i++) keep(inlined_malloc(1013));
}

void leak_calloc(void) {
  for (int i = 0; i < 109; i++) keep(calloc(7, 149));  // site: calloc
}

void leak_realloc_chain(void) {
  for (int i = 0; i < 113; i++) {
    void* block = malloc(211);     // site: realloc-start
    block = realloc(block, 2017);  // site: realloc-grow
    block = realloc(block, 4027);  // site: realloc-grow-again
    block = realloc(block, 3019);  // site: realloc-shrink
    keep(block);
  }
}

void leak_posix_memalign(void) {
  for (int i = 0; i < 127; i++) {
    void* block = NULL;
    if (posix_memalign(&block, 256, 1021)) abort();  // site: posix_memalign
    keep(block);
  }
}

void leak_aligned_alloc(void) {
  for (int i = 0; i < 131; i++) keep(aligned_alloc(64, 1031));  // site: aligned_alloc
}

void leak_strdup(void) {
  char text[1033];
  memset(text, 's', sizeof text - 1);
  text[sizeof text - 1] = '\0';
  for (int i = 0; i < 137; i++) keep(strdup(text));  // site: strdup
}

// The library is found by the executable's RUNPATH ($ORIGIN): a profiler that interposes dlopen would break that.
void leak_in_library(void) {
  void* library = dlopen("libnoframe.so", RTLD_NOW);
  if (!library) {
    fprintf(stderr, "%s\n", dlerror());
    abort();
  }
  void* (*noframe_make)(void) = (void* (*)(void))dlsym(library, "noframe_make");
  for (int i = 0; i < 139; i++) keep(noframe_make());
}

static void* thread_main(void* unused) {
  for (int i = 0; i < 149; i++) keep(malloc(1049));  // site: pthread
  return unused;
}

void leak_in_pthread(void) {
  pthread_t thread;
  if (pthread_create(&thread, NULL, thread_main, NULL)) abort();
  pthread_join(thread, NULL);
}

__attribute__((noinline)) static void* recurse(int depth) {
  void* volatile block = NULL;  // volatile: no tail call, so that every level keeps its frame
  if (depth == 0) {
    block = malloc(1051);  // site: deep
  } else {
    block = recurse(depth - 1);
  }
  return block;
}

void leak_deep(void) {
  for (int i = 0; i < 151; i++) keep(recurse(39));
}

void leak_in_callback(void) {
  keep(malloc(1061));  // site: callback
}

enum { HANDED_OVER = 157 };

static void* free_all(void* blocks) {
  for (int i = 0; i < HANDED_OVER; i++) free(((void**)blocks)[i]);
  return NULL;
}

void free_on_other_thread(void) {
  static void* blocks[HANDED_OVER];
  for (int i = 0; i < HANDED_OVER; i++) blocks[i] = malloc(1063);  // site: freed-elsewhere
  pthread_t thread;
  if (pthread_create(&thread, NULL, free_all, blocks)) abort();
  pthread_join(thread, NULL);
}

void free_honestly(void) {
  for (int i = 0; i < 163; i++) {
    void* volatile block = malloc(1069);  // site: freed
    free(block);
  }
}
