// Signal handlers that allocate and free, wherever in the recorder they interrupt an allocation, on signal stacks
// below and above the thread's own and on that itself: three workers allocate by the same call sites, first under a
// storm of signals and then as often in quiet. Needs an allocator that may be called in handlers (bump_allocator).
// Prints what the handlers allocated and freed, and the blocks that the workers made in either part.
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum {
  kWorkers = 3,
  kRounds = 1009,
  kSignals = 4001,
  kDepths = 5,
  kQuietBytes = 599,
  kStormBytes = 701,
  kHandlerBytes = 797
};
enum { kRegion = 1 << 18 };  // for each of the three stacks of a worker

#define NOINLINE __attribute__((noinline))

static __thread void* last;  // by the handler
static __thread volatile unsigned handled;
static unsigned allocated, freed;  // by all handlers
static unsigned made;              // by the workers, in one part

NOINLINE static void handler_leaf(void) {
  void* block = malloc(kHandlerBytes);
  if (last != NULL) {
    free(last);
    __atomic_fetch_add(&freed, 1, __ATOMIC_RELAXED);
  }
  last = block;
  __atomic_fetch_add(&allocated, 1, __ATOMIC_RELAXED);
  handled++;
}

static void on_signal(int signal) {
  (void)signal;
  handler_leaf();
  __asm__ volatile("");
}

NOINLINE static void* descend(unsigned frames, size_t size) {
  void* block = frames == 0 ? malloc(size) : descend(frames - 1, size);
  __asm__ volatile("" : "+r"(block));
  return block;
}

// A block by each of the depths; the one of before is freed.
NOINLINE static void round_of(size_t size) {
  for (unsigned i = 0; i < kDepths; i++) {
    void* volatile block = descend(3 + i * 20, size);
    free(block);
  }
}

struct Worker {
  pthread_t id;
  char* region;   // three stacks: below, its own, above
  int alternate;  // which of them signals are handled on: 0 to 2
};

static void block_signals(int how) {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGURG);
  pthread_sigmask(how, &signals, NULL);
}

// Signals to the calling thread, 20,000 a second.
static timer_t start_timer(void) {
  struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGURG};
  event._sigev_un._tid = gettid();
  const struct itimerspec every = {{0, 50000}, {0, 50000}};
  timer_t timer;
  if (timer_create(CLOCK_MONOTONIC, &event, &timer) != 0 || timer_settime(timer, 0, &every, NULL) != 0) abort();
  return timer;
}

static void* work(void* argument) {
  const struct Worker* worker = argument;
  const stack_t alternate = {.ss_sp = worker->region + worker->alternate * kRegion, .ss_size = kRegion};
  if (worker->alternate != 1 && sigaltstack(&alternate, NULL) != 0) abort();
  const timer_t timer = start_timer();
  unsigned storm = 0;
  unsigned quiet = 0;
  do {
    const int is_storm = storm < kRounds || handled < kSignals;
    block_signals(is_storm ? SIG_UNBLOCK : SIG_BLOCK);
    round_of(is_storm ? kStormBytes : kQuietBytes);  // one call, so that the stacks are the same
    storm += is_storm;
    quiet += !is_storm;
  } while (quiet != storm);
  timer_delete(timer);
  __atomic_fetch_add(&made, storm * kDepths, __ATOMIC_RELAXED);
  return NULL;
}

static void start_worker(struct Worker* worker) {
  worker->region = mmap(NULL, 3 * kRegion, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstack(&attributes, worker->region + kRegion, kRegion);
  if (pthread_create(&worker->id, &attributes, work, worker) != 0) abort();
}

int main(void) {
  struct sigaction action = {0};
  action.sa_handler = on_signal;
  action.sa_flags = SA_ONSTACK;
  sigaction(SIGURG, &action, NULL);
  struct Worker workers[kWorkers] = {{.alternate = 0}, {.alternate = 1}, {.alternate = 2}};
  for (int i = 0; i < kWorkers; i++) start_worker(&workers[i]);
  for (int i = 0; i < kWorkers; i++) pthread_join(workers[i].id, NULL);
  printf("%u %u %u\n", allocated, freed, made);
  return 0;
}
