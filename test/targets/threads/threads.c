#include "threads.h"

#include <pthread.h>
#include <stdlib.h>

#include "_cgo_export.h"

enum { THREADS = 7, BLOCKS = 9973 };

static void** newest;
static pthread_t threads[THREADS];

// A list that many threads push onto, so that everything kept stays reachable.
static void keep(void** block) {
  *block = __atomic_load_n(&newest, __ATOMIC_RELAXED);
  while (!__atomic_compare_exchange_n(&newest, (void***)block, block, 0, __ATOMIC_RELEASE, __ATOMIC_RELAXED)) {
  }
}

void keep_one(void) {
  keep(malloc(509));  // site: kept
}

void churn_one(void) {
  void* volatile block = malloc(521);  // site: churned
  block = realloc(block, 541);         // site: churned-grown
  free(block);
}

void* hand_out(void) {
  void* volatile block = calloc(1, 523);  // site: handed
  return block;                           // not at once: a tail call would leave no line of ours
}

void take_back(void* block) { free(block); }

void call_go(void) {
  goKeep();
  __asm__ volatile("");  // not at once: see hand_out
}

void keep_one_called_back(void) {
  keep(malloc(557));  // site: called-back
}

static void* thread_main(void* unused) {
  for (int i = 0; i < BLOCKS; i++) {
    keep(malloc(547));  // site: thread
    churn_one();
  }
  return unused;
}

void start_threads(void) {
  for (int i = 0; i < THREADS; i++) {
    if (pthread_create(&threads[i], NULL, thread_main, NULL) != 0) abort();
  }
}

void join_threads(void) {
  for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
}
