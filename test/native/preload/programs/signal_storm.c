// Threads allocate and free while children that end and a thread that has nothing else to do send signals all the time,
// whose handlers call hooks themselves; one thread loads and unloads a library, so that the recorder reads the
// mappings: signal_storm LIBRARY
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define WORKERS 4
#define ROUNDS 20011
#define LOADS 53
#define CHILDREN 101
#define ERRNO_BEFORE 77

static volatile int done;
static volatile unsigned caught;
static pthread_t workers[WORKERS];

// The hooks run here, the allocator does not: libc refuses an impossible alignment at once.
static void on_signal(int signal) {
  (void)signal;
  const int before = errno;
  void* p = NULL;
  if (posix_memalign(&p, 3, 613) != EINVAL) abort();
  free(p);
  caught++;
  errno = before;
}

static void* work(void* unused) {
  for (int i = 0; i < ROUNDS; i++) {
    errno = ERRNO_BEFORE;
    void* volatile p = malloc(613);
    free(p);
    p = malloc(i % 101 == 0 ? 1223 : 617);
    if (errno != ERRNO_BEFORE || p == NULL) abort();
    if (i % 101 != 0) free(p);
  }
  return unused;
}

static void* send_signals(void* unused) {
  while (!done) {
    for (int i = 0; i < WORKERS; i++) pthread_kill(workers[i], SIGURG);
  }
  return unused;
}

static void* make_children(void* unused) {
  for (int i = 0; i < CHILDREN; i++) {
    const pid_t child = fork();
    if (child == 0) _exit(0);
    while (child < 0 || waitpid(child, NULL, 0) != child) {
      if (child < 0 || errno != EINTR) abort();
    }
  }
  return unused;
}

static void load(const char* path) {
  for (int i = 0; i < LOADS; i++) {
    void* library = dlopen(path, RTLD_NOW);
    void* (*leak)(void) = library != NULL ? (void* (*)(void))dlsym(library, "unloadable_leak") : NULL;
    if (leak == NULL || leak() == NULL || dlclose(library) != 0) abort();
  }
}

int main(int argc, char** argv) {
  pthread_t sender;
  pthread_t parent;
  if (argc != 2) return 2;
  // No SA_RESTART: whatever a signal interrupts ends with EINTR.
  struct sigaction action = {0};
  action.sa_handler = on_signal;
  sigaction(SIGURG, &action, NULL);
  sigaction(SIGCHLD, &action, NULL);
  for (int i = 0; i < WORKERS; i++) pthread_create(&workers[i], NULL, work, NULL);
  pthread_create(&sender, NULL, send_signals, NULL);
  pthread_create(&parent, NULL, make_children, NULL);
  load(argv[1]);
  pthread_join(parent, NULL);
  // Not joined before the sender has ended, which names them.
  done = 1;
  pthread_join(sender, NULL);
  for (int i = 0; i < WORKERS; i++) pthread_join(workers[i], NULL);
  return caught == 0;
}
