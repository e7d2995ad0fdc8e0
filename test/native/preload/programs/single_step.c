// A signal handler that allocates and frees after every instruction of an allocation and a free: the processor traps
// after each (the trap flag), so whatever can go wrong by one interruption, or by several, does. By stacks of several
// depths, each in quiet first, on signal stacks below and above the thread's own and on that itself. Needs an allocator
// that may be called in handlers (bump_allocator). Prints what the handlers allocated and freed.
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { kStacks = 3, kDepths = 2, kQuietBytes = 599, kStepBytes = 701, kHandlerBytes = 797 };
enum { kRegion = 1 << 18 };

#define NOINLINE __attribute__((noinline))

static void* last;
static unsigned allocated, freed;

NOINLINE static void handler_leaf(void) {
  void* block = malloc(kHandlerBytes);
  allocated++;
  if (last != NULL) {
    free(last);
    freed++;
  }
  last = block;
}

static void on_trap(int signal) {
  (void)signal;
  handler_leaf();
  __asm__ volatile("");
}

// The flag stays set until a handler returns to a context where it is not.
static void set_trap_flag(size_t flag) {
  __asm__ volatile("pushfq\n\tandq $~0x100, (%%rsp)\n\torq %0, (%%rsp)\n\tpopfq" : : "r"(flag) : "cc", "memory");
}

NOINLINE static void allocate_and_free(size_t size) {
  const size_t flag = size == kStepBytes ? 0x100 : 0;
  set_trap_flag(flag);
  void* volatile block = malloc(size);
  free(block);
  set_trap_flag(0);
}

NOINLINE static void descend(unsigned frames, size_t size) {
  if (frames == 0)
    allocate_and_free(size);
  else
    descend(frames - 1, size);
  __asm__ volatile("");
}

static void* work(void* argument) {
  const stack_t* alternate = argument;
  if (alternate->ss_sp != NULL && sigaltstack(alternate, NULL) != 0) abort();
  for (volatile size_t size = kQuietBytes; size <= kStepBytes; size += kStepBytes - kQuietBytes) {
    for (unsigned i = 0; i < kDepths; i++) descend(3 + i * 40, size);
  }
  return NULL;
}

int main(void) {
  struct sigaction action = {0};
  action.sa_handler = on_trap;
  action.sa_flags = SA_ONSTACK;
  sigaction(SIGTRAP, &action, NULL);
  raise(SIGTRAP);  // the recorder meets the code of handlers
  for (int i = 0; i < kStacks; i++) {
    char* region = mmap(NULL, kStacks * kRegion, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstack(&attributes, region + kRegion, kRegion);
    stack_t alternate = {.ss_sp = i == 1 ? NULL : region + i * kRegion, .ss_size = kRegion};
    pthread_t thread;
    if (pthread_create(&thread, &attributes, work, &alternate) != 0) abort();
    pthread_join(thread, NULL);
  }
  printf("%u %u\n", allocated, freed);
  return 0;
}
