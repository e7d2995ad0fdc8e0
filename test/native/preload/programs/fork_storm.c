// Threads allocate while the main thread makes children by fork, _Fork, vfork, clone and posix_spawn. The children
// allocate, free their parent's blocks, and leave by _exit or through exit handlers. The parent's books must not move.
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHILDREN 40
#define BLOCKS 50

static volatile int done;
static void* blocks[BLOCKS];

__attribute__((noinline)) static void* parent_block(void) {
  void* volatile p = malloc(10007);
  return p;
}

static void* churn(void* unused) {
  while (!done) {
    void* volatile p = malloc(331);
    free(p);
  }
  return unused;
}

static void child_work(void) {
  for (int i = 0; i < BLOCKS; i++) free(blocks[i]);
  for (int i = 0; i < 100; i++) {
    void* volatile p = malloc(20011);
    free(p);
  }
}

int main(void) {
  pthread_t threads[2];
  for (int i = 0; i < BLOCKS; i++) blocks[i] = parent_block();
  for (int i = 0; i < 2; i++) pthread_create(&threads[i], NULL, churn, NULL);
  for (int i = 0; i < CHILDREN; i++) {
    pid_t child = 0;
    switch (i % 5) {
      case 0:
        if ((child = fork()) == 0) {
          child_work();
          _exit(0);
        }
        break;
      case 1:
        // The other threads may hold malloc's lock at this moment, so only the hooks are touched, not the allocator.
        if ((child = _Fork()) == 0) _exit(0);
        break;
      case 2:
        if ((child = vfork()) == 0) _exit(0);
        break;
      case 3:
        if ((child = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0)) == 0) _exit(0);
        break;
      case 4: {
        char* arguments[] = {"true", NULL};
        if (posix_spawn(&child, "/bin/true", NULL, NULL, arguments, environ) != 0) return 2;
        break;
      }
    }
    int status;
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0) return 3;
  }
  // One that leaves through its exit handlers: it must not take the parent's segment along.
  pid_t child = fork();
  if (child == 0) exit(0);
  int status;
  if (waitpid(child, &status, 0) != child || status != 0) return 4;
  done = 1;
  for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
  return 0;
}
