// The random numbers of the workloads: xorshift, the same ones in every run.
#ifndef CGOPROF_BENCH_RANDOM_H_
#define CGOPROF_BENCH_RANDOM_H_

#include <stdint.h>

enum { kSmallest = 16, kSizes = 496 };  // sizes 16 to 511

static const uint64_t kSeed = UINT64_C(88172645463325252);

static uint64_t NextRandom(uint64_t* state) {
  *state ^= *state << 13;
  *state ^= *state >> 7;
  *state ^= *state << 17;
  return *state;
}

static uint64_t SizeFrom(uint64_t random) { return kSmallest + (random >> 32) % kSizes; }

#endif  // CGOPROF_BENCH_RANDOM_H_
