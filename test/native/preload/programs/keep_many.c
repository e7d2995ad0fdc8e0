// Threads that keep all they allocate, which takes page after page of the segment, while a timer interrupts them.
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/time.h>

#define THREADS 4
#define BLOCKS 20011

static void* kept[THREADS][BLOCKS];

static void on_timer(int signal) { (void)signal; }

static void* keep(void* slots) {
  for (int i = 0; i < BLOCKS; i++) ((void**)slots)[i] = malloc(211);
  return slots;
}

int main(void) {
  struct sigaction action = {0};
  action.sa_handler = on_timer;
  action.sa_flags = SA_RESTART;
  sigaction(SIGALRM, &action, NULL);
  struct itimerval every = {{0, 50}, {0, 50}};
  setitimer(ITIMER_REAL, &every, NULL);
  pthread_t threads[THREADS];
  for (int i = 0; i < THREADS; i++) pthread_create(&threads[i], NULL, keep, kept[i]);
  for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
  for (int i = 0; i < THREADS; i++) {
    if (kept[i][BLOCKS - 1] == NULL) return 1;
  }
  return 0;
}
