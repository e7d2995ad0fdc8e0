// When to sample: exponential gaps, so that every allocated byte is equally likely to be the one that is sampled.
//
// Think of sample points scattered over the stream of allocated bytes as a Poisson process with one point per `rate`
// bytes on average. A block of s bytes is sampled if at least one point falls on it, so with probability
//
//     P(s) = 1 - exp(-s / rate)
//
// At the default rate of 524288, a 64-byte block is sampled once in 8192.5 times, a 1 MiB block with 86.5 %. The tool
// divides by P(s) (Go's scaleHeapSample does the same), which makes the estimate unbiased.
//
// The distance to the next point is exponential, so it is drawn once and counted down by each allocation's size: the
// hot path is one subtraction. The process has no memory: whatever is left over when a point is hit is thrown away and
// a new gap drawn.
#ifndef CGOPROF_PRELOAD_SAMPLER_H_
#define CGOPROF_PRELOAD_SAMPLER_H_

#include <stdint.h>

namespace cgoprof {

// Go's default runtime.MemProfileRate.
inline constexpr uint64_t kDefaultSampleRate = 524288;

// xorshift64*; never 0. One per thread, seeded by SeedRandom.
using RandomState = uint64_t;

// A state that differs between threads and runs.
RandomState SeedRandom(uint64_t entropy);

// Bytes to the next sample point: ceil(Exp(mean rate)), at least 1, at most 37 times the rate (53 random bits). An
// allocation of `size` is sampled iff size >= the bytes left. Returns 0 for rate 1: every allocation is sampled, also
// one of size 0.
uint64_t NextGap(uint64_t rate, RandomState* random);

// Natural logarithm for x in (0, 1], without libm. Absolute error below 1e-9. Exposed for its test.
double NaturalLog(double x);

}  // namespace cgoprof

#endif  // CGOPROF_PRELOAD_SAMPLER_H_
