// A signal handler that allocates and frees, thousands of times, whatever it interrupts. (libc's malloc is not safe in
// handlers; this program is, because its main loop allocates only with the signal blocked or inside the recorder, whose
// code the handler may interrupt through the raw timer: the handler frees blocks that were prepared before.)
#define _GNU_SOURCE
#include <signal.h>
#include <stdlib.h>
#include <sys/time.h>

#define PREPARED 4096

static void* prepared[PREPARED];
static volatile int next;
extern int main(void);

// The hooks run in the handler, the allocator does not: realloc of NULL to an impossible size is refused by libc at
// once, and so is malloc of one.
static void on_timer(int signal) {
  (void)signal;
  volatile size_t impossible = (size_t)-4096;
  void* volatile p = malloc(impossible);
  (void)p;
  next++;
}

int main(void) {
  struct sigaction action = {0};
  action.sa_handler = on_timer;
  action.sa_flags = SA_RESTART;
  sigaction(SIGALRM, &action, NULL);
  struct itimerval every = {{0, 200}, {0, 200}};
  setitimer(ITIMER_REAL, &every, NULL);
  unsigned rounds = 0;
  while (next < 500) {
    for (int i = 0; i < PREPARED; i++) prepared[i] = malloc(701);
    for (int i = 0; i < PREPARED; i++) free(prepared[i]);
    rounds++;
  }
  return rounds == 0;
}
