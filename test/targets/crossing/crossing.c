// Compiled with -O2 -fomit-frame-pointer, so C uses the frame pointer register as it likes. Nothing here calls malloc
// or another function as its last act, because such a call would replace its own frame.
#include "crossing.h"

#include <pthread.h>
#include <stdlib.h>

#include "_cgo_export.h"

static void* volatile last;

void leak_direct(void) { last = malloc(1009); }

void leak_innermost(void) { last = malloc(1013); }

// Six values stay in registers across the callback: every register that a callee must keep, the frame pointer's too, so
// whoever follows frame pointers here ends up in nonsense.
__attribute__((noinline)) void c_level(int level) {
  volatile long seen[6] = {level, level + 1, level + 2, level + 3, level + 4, level + 5};
  const long a = seen[0], b = seen[1], c = seen[2], d = seen[3], e = seen[4], f = seen[5];
  goLevel(level);
  seen[0] = a ^ b ^ c ^ d ^ e ^ f;
}

__attribute__((noinline)) static void* recurse(int depth) {
  void* volatile block = NULL;
  if (depth == 1) {
    block = malloc(1019);
  } else {
    block = recurse(depth - 1);
  }
  return block;
}

void leak_recursive(int depth) { last = recurse(depth); }

void leak_on_thread(void) { last = malloc(1021); }

void leak_beside_go(void) { last = malloc(1031); }

static void* thread_main(void* unused) {
  leak_beside_go();
  goOnThread();
  return unused;
}

void run_thread(void) {
  pthread_t thread;
  if (pthread_create(&thread, NULL, thread_main, NULL)) abort();
  pthread_join(thread, NULL);
}
