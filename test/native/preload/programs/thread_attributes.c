// Threads ask for their stacks' bounds over and over. For the main thread's libc reads the mappings and allocates; a
// profiler that asked the same from within its hooks would meet itself.
#define _GNU_SOURCE
#include <pthread.h>
#include <stdlib.h>

#define THREADS 4
#define ROUNDS 503

static int ask(void) {
  pthread_attr_t attributes;
  void* address;
  size_t bytes;
  if (pthread_getattr_np(pthread_self(), &attributes) != 0) return 0;
  const int found = pthread_attr_getstack(&attributes, &address, &bytes) == 0;
  pthread_attr_destroy(&attributes);
  return found;
}

static void* work(void* unused) {
  for (int i = 0; i < ROUNDS; i++) {
    void* volatile p = malloc(613);
    if (!ask()) abort();
    free(p);
  }
  return unused;
}

int main(void) {
  pthread_t threads[THREADS];
  for (int i = 0; i < THREADS; i++) pthread_create(&threads[i], NULL, work, NULL);
  work(NULL);
  for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
  return 0;
}
