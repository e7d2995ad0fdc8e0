// Blocks allocated on one thread and freed on another: nothing is left in use. One in 101 is kept.
#include <pthread.h>
#include <stdlib.h>

#define ROUNDS 20200

static void* slots[64];
static volatile int finished;
static void* volatile kept;

static void* producer(void* unused) {
  for (int i = 0; i < ROUNDS; i++) {
    void* p = malloc(1013);
    while (1) {
      void* expected = NULL;
      if (__atomic_compare_exchange_n(&slots[i % 64], &expected, p, 0, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED)) break;
      sched_yield();
    }
  }
  __atomic_store_n(&finished, 1, __ATOMIC_RELEASE);
  return unused;
}

int main(void) {
  pthread_t thread;
  pthread_create(&thread, NULL, producer, NULL);
  for (int taken = 0; taken < ROUNDS;) {
    void* p = __atomic_exchange_n(&slots[taken % 64], NULL, __ATOMIC_ACQ_REL);
    if (p == NULL) {
      sched_yield();
      continue;
    }
    if (taken % 101 == 0)
      kept = p;
    else
      free(p);
    taken++;
  }
  pthread_join(thread, NULL);
  return finished != 1 || kept == NULL;
}
