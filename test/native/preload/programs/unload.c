// Loads, uses and unloads libraries in turn, which the loader puts at the same place, while other threads allocate:
// one of them from within the loader's lock, where dl_iterate_phdr calls back.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <link.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

#define THREADS 8
#define ROUNDS 503
#define SECONDS 100  // a deadlock ends here

static volatile int done;

static void churn_once(void) {
  void* volatile p = malloc(331);
  free(p);
}

static int churn_at_library(struct dl_phdr_info* info, size_t size, void* unused) {
  (void)info;
  (void)size;
  (void)unused;
  churn_once();
  return 0;
}

static void* churn(void* unused) {
  while (!done) churn_once();
  return unused;
}

static void* churn_within_the_loader(void* unused) {
  while (!done) {
    dl_iterate_phdr(churn_at_library, NULL);
    sched_yield();  // the lock goes to others now and then
  }
  return unused;
}

static int use(const char* path) {
  void* library = dlopen(path, RTLD_NOW);
  if (library == NULL) return 3;
  void* (*leak)(void) = (void* (*)(void))dlsym(library, "unloadable_leak");
  if (leak == NULL || leak() == NULL) return 4;
  return dlclose(library) == 0 ? 0 : 5;
}

int main(int argc, char** argv) {
  pthread_t threads[THREADS];
  alarm(SECONDS);
  for (int i = 0; i < THREADS; i++) pthread_create(&threads[i], NULL, i > 0 ? churn : churn_within_the_loader, NULL);
  for (int i = 0; i < ROUNDS; i++) {
    for (int library = 1; library < argc; library++) {
      const int error = use(argv[library]);
      if (error != 0) return error;
    }
  }
  done = 1;
  for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
  return 0;
}
