// mix PAIRS [THREADS [LARGE]]: the plain case. A free and a malloc, PAIRS times, by stacks 20 frames deep, sizes 16 to
// 511, 4,096 blocks live. With THREADS above 1 the pairs are divided among that many threads, each with its own blocks.
//
// LARGE blocks of 4 MiB, never touched, are allocated before and stay: at the default rate each is a live sample (but
// for one in 3,000), and the frees of the others meet a live set that is as full.
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>

#include "random.h"
#include "result.h"

enum { kLive = 4096, kMaxThreads = 64, kLargeBytes = 4 << 20 };

#define NOINLINE __attribute__((noinline))

// Neither call is a tail call: the frame must be there.
NOINLINE static void* F0(size_t size) {
  void* block = malloc(size);
  __asm__ volatile("" : "+r"(block));
  return block;
}

#define FRAME(name, callee)                 \
  NOINLINE static void* name(size_t size) { \
    void* block = callee(size);             \
    __asm__ volatile("" : "+r"(block));     \
    return block;                           \
  }

FRAME(F1, F0)
FRAME(F2, F1)
FRAME(F3, F2)
FRAME(F4, F3)
FRAME(F5, F4)
FRAME(F6, F5)
FRAME(F7, F6)
FRAME(F8, F7)
FRAME(F9, F8)
FRAME(F10, F9)
FRAME(F11, F10)
FRAME(F12, F11)
FRAME(F13, F12)
FRAME(F14, F13)
FRAME(F15, F14)
FRAME(F16, F15)
FRAME(F17, F16)
FRAME(F18, F17)

struct Work {
  long pairs;
  uint64_t seed;
};

NOINLINE static void* Churn(void* argument) {
  const struct Work work = *(const struct Work*)argument;
  uint64_t state = work.seed;
  void** live = calloc(kLive, sizeof(void*));
  if (live == NULL) abort();
  for (long i = 0; i < work.pairs; i++) {
    const uint64_t random = NextRandom(&state);
    void** slot = &live[random % kLive];
    free(*slot);
    *slot = F18(SizeFrom(random));
  }
  return NULL;
}

static void ChurnOnThreads(long pairs, long threads) {
  pthread_t ids[kMaxThreads];
  struct Work works[kMaxThreads];
  for (long i = 0; i < threads; i++) {
    works[i] = (struct Work){pairs / threads, kSeed + (uint64_t)i};
    if (pthread_create(&ids[i], NULL, &Churn, &works[i]) != 0) abort();
  }
  for (long i = 0; i < threads; i++) pthread_join(ids[i], NULL);
}

int main(int argc, char** argv) {
  const long pairs = argc > 1 ? atol(argv[1]) : 0;
  const long threads = argc > 2 ? atol(argv[2]) : 1;
  const long large = argc > 3 ? atol(argv[3]) : 0;
  if (pairs < 1 || threads < 1 || threads > kMaxThreads) return 2;
  for (long i = 0; i < large; i++) {
    void* volatile block = malloc(kLargeBytes);
    if (block == NULL) return 1;
  }
  const struct Start start = StartClock();
  if (threads == 1)
    Churn(&(struct Work){pairs, kSeed});
  else
    ChurnOnThreads(pairs, threads);
  PrintResult(start);
  return 0;
}
