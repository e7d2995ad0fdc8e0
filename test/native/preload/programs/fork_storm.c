// Threads allocate while the main thread makes a thousand children by fork, _Fork, vfork, clone and posix_spawn. The
// children allocate, free their parent's blocks, look through the loaded libraries, and leave by _exit, exec or exit
// handlers. The parent's books must not move, and no child may find a lock held by a thread that it does not have. But
// for vfork: its child works on the parent's own memory, so what it frees and allocates there is the parent's, in
// memory and in the books.
#define _GNU_SOURCE
#include <link.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHILDREN 1000
#define WAYS 5
#define VFORKED (CHILDREN / WAYS)
#define THREADS 8
#define BLOCKS 50
#define SMALL_BLOCKS 5  // fewer than glibc keeps per thread, where it takes no lock
#define SECONDS 100     // a child that hangs ends with the parent

static volatile int done;
static void* blocks[BLOCKS];
static void* small[SMALL_BLOCKS];
static void* lent[VFORKED];      // freed by vfork children ...
static void* borrowed[VFORKED];  // ... which allocate these
static int vforked;

__attribute__((noinline)) static void* parent_block(void) {
  void* volatile p = malloc(10007);
  return p;
}

__attribute__((noinline)) static void* small_parent_block(void) {
  void* volatile p = malloc(509);
  return p;
}

__attribute__((noinline)) static void* lent_block(void) {
  void* volatile p = malloc(10009);
  return p;
}

static void* churn(void* unused) {
  while (!done) {
    void* volatile p = malloc(331);
    free(p);
  }
  return unused;
}

static int count_library(struct dl_phdr_info* info, size_t size, void* count) {
  (void)info;
  (void)size;
  ++*(int*)count;
  return 0;
}

// What any child may do whose locks the C library has put right, and then some.
static void forked_child(void) {
  alarm(SECONDS);
  int libraries = 0;
  for (int i = 0; i < BLOCKS; i++) free(blocks[i]);
  for (int i = 0; i < 100; i++) {
    void* volatile p = malloc(20011);
    free(p);
  }
  dl_iterate_phdr(count_library, &libraries);
  if (libraries < 3) _exit(1);
  execl("/bin/true", "true", (char*)NULL);
  _exit(2);
}

// A child of _Fork or clone: the other threads may hold malloc's locks, so it touches what needs none.
static void raw_child(void) {
  alarm(SECONDS);
  for (int i = 0; i < SMALL_BLOCKS; i++) free(small[i]);
  for (int i = 0; i < SMALL_BLOCKS; i++) {
    if (malloc(509) == NULL) _exit(1);
  }
  _exit(0);
}

// A child of vfork. The calling thread waits, the others do not.
__attribute__((noinline)) static void vforked_child(int n) {
  free(lent[n]);
  borrowed[n] = malloc(6007);
  _exit(0);
}

static pid_t make_child(int way) {
  pid_t child = -1;
  switch (way) {
    case 0:
      if ((child = fork()) == 0) forked_child();
      break;
    case 1:
      if ((child = _Fork()) == 0) raw_child();
      break;
    case 2:
      if ((child = vfork()) == 0) vforked_child(vforked);
      vforked++;
      break;
    case 3:
      if ((child = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0)) == 0) raw_child();
      break;
    case 4: {
      char* arguments[] = {"true", NULL};
      if (posix_spawn(&child, "/bin/true", NULL, NULL, arguments, environ) != 0) return -1;
      break;
    }
  }
  return child;
}

int main(void) {
  pthread_t threads[THREADS];
  int status;
  for (int i = 0; i < BLOCKS; i++) blocks[i] = parent_block();
  for (int i = 0; i < SMALL_BLOCKS; i++) small[i] = small_parent_block();
  for (int i = 0; i < VFORKED; i++) lent[i] = lent_block();
  for (int i = 0; i < THREADS; i++) pthread_create(&threads[i], NULL, churn, NULL);
  alarm(2 * SECONDS);
  for (int i = 0; i < CHILDREN; i++) {
    const pid_t child = make_child(i % WAYS);
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0) return 3;
  }
  for (int i = 0; i < VFORKED; i += 2) free(borrowed[i]);
  // One that leaves through its exit handlers: it must not take the parent's segment along.
  const pid_t child = fork();
  if (child == 0) exit(0);
  if (waitpid(child, &status, 0) != child || status != 0) return 4;
  done = 1;
  for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
  return 0;
}
