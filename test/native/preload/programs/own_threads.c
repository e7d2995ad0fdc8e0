// Counts the threads of this process, and has a signal sent to the process that all threads it made itself hold back: a
// thread of somebody else's would take it, and the process would end.
#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void* volatile kept;

static void* work(void* barrier) {
  for (int i = 0; i < 1009; i++) kept = malloc(101);
  pthread_barrier_wait(barrier);
  pthread_barrier_wait(barrier);
  return NULL;
}

static int count_threads(void) {
  int count = 0;
  DIR* tasks = opendir("/proc/self/task");
  if (tasks == NULL) return -1;
  for (struct dirent* entry; (entry = readdir(tasks)) != NULL;) count += entry->d_name[0] != '.';
  closedir(tasks);
  return count;
}

int main(void) {
  sigset_t held_back;
  sigset_t pending;
  pthread_t thread;
  pthread_barrier_t barrier;
  pthread_barrier_init(&barrier, NULL, 2);
  sigemptyset(&held_back);
  sigaddset(&held_back, SIGUSR1);
  pthread_sigmask(SIG_BLOCK, &held_back, NULL);
  pthread_create(&thread, NULL, work, &barrier);
  pthread_barrier_wait(&barrier);
  kill(getpid(), SIGUSR1);
  sigpending(&pending);
  printf("%d threads, signal %s\n", count_threads(), sigismember(&pending, SIGUSR1) == 1 ? "pending" : "taken");
  pthread_barrier_wait(&barrier);
  return pthread_join(thread, NULL);
}
