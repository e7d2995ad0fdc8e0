// Loads, uses and unloads a library over and over while other threads allocate.
#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>

static volatile int done;

static void* churn(void* unused) {
  while (!done) {
    void* volatile p = malloc(331);
    free(p);
  }
  return unused;
}

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  pthread_t threads[2];
  for (int i = 0; i < 2; i++) pthread_create(&threads[i], NULL, churn, NULL);
  for (int i = 0; i < 53; i++) {
    void* library = dlopen(argv[1], RTLD_NOW);
    if (library == NULL) return 3;
    void* (*leak)(void) = (void* (*)(void))dlsym(library, "unloadable_leak");
    if (leak == NULL || leak() == NULL) return 4;
    if (dlclose(library) != 0) return 5;
  }
  done = 1;
  for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
  return 0;
}
