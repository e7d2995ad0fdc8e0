// Threads that allocate and free in their last moments: thread-specific data destructors, in several rounds.
#include <pthread.h>
#include <stdlib.h>

static pthread_key_t key;
static void* volatile kept;

static void destroy(void* value) {
  free(value);
  void* p = malloc(1709);
  free(p);
  kept = malloc(2003);
}

static void* work(void* unused) {
  pthread_setspecific(key, malloc(907));
  return unused;
}

int main(void) {
  pthread_key_create(&key, destroy);
  for (int i = 0; i < 101; i++) {
    pthread_t thread;
    pthread_create(&thread, NULL, work, NULL);
    pthread_join(thread, NULL);
  }
  return kept == NULL;
}
