// The waits that the canaries do, and what they look at after each.
#define _GNU_SOURCE
#include "canary.h"

#include <errno.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "canary_registers.h"

#define WAIT_MS 30
#define SPINS_A_ROUND 10000000

const char* const canary_names[CANARY_KINDS] = {"futex", "nanosleep", "read", "poll", "epoll", "spin"};

static _Atomic uint64_t rounds[CANARY_KINDS], interruptions[CANARY_KINDS];
static char fault[256];
static pthread_mutex_t fault_lock = PTHREAD_MUTEX_INITIALIZER;

uint64_t canary_rounds(enum canary_kind kind) { return rounds[kind]; }
uint64_t canary_interruptions(enum canary_kind kind) { return interruptions[kind]; }
const char* canary_fault(void) { return fault; }

static int report(enum canary_kind kind, const char* what, int number, uint64_t expected, uint64_t found) {
  pthread_mutex_lock(&fault_lock);
  if (fault[0] == '\0') {
    snprintf(fault, sizeof(fault), "%s: %s %d is %#llx, not %#llx", canary_names[kind], what, number,
             (unsigned long long)found, (unsigned long long)expected);
    fprintf(stderr, "canary: %s\n", fault);
  }
  pthread_mutex_unlock(&fault_lock);
  return 0;
}

static uint64_t now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

// ---- What is held ----

static uint64_t level(void) {
  if (__builtin_cpu_supports("avx512f")) return LEVEL_AVX512;
  return __builtin_cpu_supports("avx") ? LEVEL_AVX : LEVEL_SSE;
}

static void fill(struct held_and_seen* state, uint64_t seed) {
  uint64_t* words = (uint64_t*)&state->held;
  for (size_t i = 0; i < sizeof(state->held) / 8; i++) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    words[i] = seed ^ seed >> 29;
  }
  for (int i = 0; i < 8; i++) state->held.masks[i] &= 0xffff;
  state->held.mxcsr = 0x3f80;  // every exception masked, as is usual, but rounding down, which is not
  state->level = level();
}

static int compare(enum canary_kind kind, const char* what, const uint64_t* held, const uint64_t* seen, int count) {
  for (int i = 0; i < count; i++) {
    if (held[i] != seen[i]) return report(kind, what, i, held[i], seen[i]);
  }
  return 1;
}

static int general_as_held(enum canary_kind kind, const struct held_and_seen* state) {
  for (int i = 0; i < 16; i++) {
    if (state->calls && (i == RAX || i == RCX || i == R11)) continue;  // a system call's own
    if (state->held.general[i] != state->seen.general[i])
      return report(kind, "general register", i, state->held.general[i], state->seen.general[i]);
  }
  return 1;
}

static int as_held(enum canary_kind kind, const struct held_and_seen* state) {
  static const int words[] = {[LEVEL_SSE] = 2, [LEVEL_AVX] = 4, [LEVEL_AVX512] = 8};
  const struct registers *held = &state->held, *seen = &state->seen;
  const int vectors = state->level == LEVEL_AVX512 ? 32 : 16;
  for (int i = 0; i < vectors; i++) {
    char name[32];
    snprintf(name, sizeof(name), "vector %d, word", i);
    if (!compare(kind, name, held->vectors[i], seen->vectors[i], words[state->level])) return 0;
  }
  if (state->level == LEVEL_AVX512 && !compare(kind, "mask", held->masks, seen->masks, 8)) return 0;
  const uint64_t mxcsr = (uint32_t)seen->mxcsr;
  return general_as_held(kind, state) && compare(kind, "mm", held->x87, seen->x87, 8) &&
         compare(kind, "word of the red zone", held->red_zone, seen->red_zone, 16) &&
         compare(kind, "mxcsr", &held->mxcsr, &mxcsr, 1);
}

// ---- What is waited for ----

struct call {
  long number;
  uint64_t arguments[6];
  long result;  // as it has to be
};

static const struct timespec wait_time = {.tv_nsec = WAIT_MS * 1000000};

static int timer(void) {
  const int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
  if (fd < 0) abort();
  return fd;
}

// A timer that expires once, so late.
static int armed(int fd) {
  const struct itimerspec once = {.it_value = wait_time};
  if (timerfd_settime(fd, 0, &once, NULL) != 0) abort();
  return fd;
}

static struct call call_of(enum canary_kind kind) {
  static uint32_t word;
  static _Thread_local int fd = -1;
  static _Thread_local uint64_t expirations;
  static _Thread_local struct pollfd polled;
  static _Thread_local struct epoll_event event;
  switch (kind) {
    case CANARY_FUTEX:
      return (struct call){SYS_futex, {(uintptr_t)&word, FUTEX_WAIT_PRIVATE, 0, (uintptr_t)&wait_time}, -ETIMEDOUT};
    case CANARY_NANOSLEEP:
      return (struct call){SYS_nanosleep, {(uintptr_t)&wait_time}, 0};
    case CANARY_READ:
      if (fd < 0) fd = timer();
      return (struct call){SYS_read, {armed(fd), (uintptr_t)&expirations, sizeof(expirations)}, sizeof(expirations)};
    case CANARY_POLL:
      if (fd < 0) fd = timer();
      polled = (struct pollfd){.fd = fd, .events = POLLIN};
      return (struct call){SYS_poll, {(uintptr_t)&polled, 1, WAIT_MS}, 0};
    case CANARY_EPOLL:
      if (fd < 0) fd = epoll_create1(EPOLL_CLOEXEC);
      return (struct call){SYS_epoll_wait, {fd, (uintptr_t)&event, 1, WAIT_MS}, 0};
    default:
      abort();
  }
}

static void load(struct held_and_seen* state, const struct call* call) {
  static const int registers[] = {RDI, RSI, RDX, R10, R8, R9};
  uint64_t* const general = state->held.general;
  general[RAX] = call->number;
  for (int i = 0; i < 6; i++) {
    if (call->arguments[i] != 0 || i < 4) general[registers[i]] = call->arguments[i];
  }
  state->calls = 1;
}

static int watch_call(enum canary_kind kind, struct held_and_seen* state) {
  const uint64_t start = now_ns();  // before a timer is armed
  const struct call call = call_of(kind);
  load(state, &call);
  canary_round(state);
  const uint64_t elapsed = now_ns() - start;
  if (!as_held(kind, state)) return 0;
  const long result = (long)state->seen.general[RAX];
  if (kind == CANARY_EPOLL && result == -EINTR) {
    interruptions[kind]++;
    return 1;
  }
  if (result != call.result) return report(kind, "system call", (int)call.number, call.result, result);
  if (elapsed < WAIT_MS * 1000000) return report(kind, "ns waited in system call", (int)call.number, 30000000, elapsed);
  return 1;
}

int canary_watch(enum canary_kind kind) {
  static _Thread_local struct held_and_seen state;
  fill(&state, now_ns());
  int well;
  if (kind == CANARY_SPIN) {
    state.spins = SPINS_A_ROUND;
    state.calls = 0;
    canary_round(&state);
    well = as_held(kind, &state);
  } else {
    well = watch_call(kind, &state);
  }
  rounds[kind]++;
  return well;
}

// ---- Threads ----

static void* watch(void* kind) {
  while (canary_watch((enum canary_kind)(uintptr_t)kind)) {
    // The spinning one leaves the processors to the others nine tenths of the time.
    if ((uintptr_t)kind == CANARY_SPIN) nanosleep(&wait_time, NULL);
  }
  return NULL;
}

void canaries_start(void) {
  for (uintptr_t kind = 0; kind < CANARY_KINDS; kind++) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, watch, (void*)kind) != 0) abort();
  }
}
