// Loads libraries with thread-local storage and touches it from a thread that was there before and from one that was
// not: tls_libraries LIBRARY… Hooks that had such storage themselves would call themselves without end.
#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>

typedef void* use_function(int);

static use_function* uses[100];
static int count;
static pthread_barrier_t loaded;

static void* touch_all(void* unused) {
  for (int i = 0; i < count; i++) {
    if (uses[i](i) == NULL) abort();
  }
  return unused;
}

static void* touch_when_loaded(void* unused) {
  pthread_barrier_wait(&loaded);
  return touch_all(unused);
}

int main(int argc, char** argv) {
  pthread_t early;
  pthread_t late;
  pthread_barrier_init(&loaded, NULL, 2);
  pthread_create(&early, NULL, touch_when_loaded, NULL);
  for (; count < argc - 1 && count < 100; count++) {
    void* library = dlopen(argv[count + 1], RTLD_NOW);
    if (library == NULL) return 2;
    uses[count] = (use_function*)dlsym(library, "tls_library_use");
    if (uses[count] == NULL) return 3;
  }
  pthread_barrier_wait(&loaded);
  pthread_create(&late, NULL, touch_all, NULL);
  touch_all(NULL);
  return pthread_join(early, NULL) != 0 || pthread_join(late, NULL) != 0;
}
