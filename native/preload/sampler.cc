// See sampler.h.
#include "preload/sampler.h"

#include <string.h>

namespace cgoprof {
namespace {

constexpr double kLn2 = 0.693147180559945309417;
constexpr double kSqrtHalf = 0.707106781186547524401;

uint64_t NextRandom(RandomState* state) {
  uint64_t x = *state;
  x ^= x >> 12;
  x ^= x << 25;
  x ^= x >> 27;
  *state = x;
  return x * 0x2545F4914F6CDD1Dull;
}

// The program may have made floating-point exceptions raise SIGFPE, or watch their flags: what happens between these
// two shows in neither.
class QuietFloatingPoint {
 public:
  QuietFloatingPoint() {
    constexpr uint32_t kAllMasked = 0x1f80;  // the state a process starts with
    __asm__ volatile("stmxcsr %0" : "=m"(saved_));
    const uint32_t quiet = kAllMasked;
    __asm__ volatile("ldmxcsr %0" : : "m"(quiet));
  }
  ~QuietFloatingPoint() { __asm__ volatile("ldmxcsr %0" : : "m"(saved_)); }
  QuietFloatingPoint(const QuietFloatingPoint&) = delete;
  QuietFloatingPoint& operator=(const QuietFloatingPoint&) = delete;

 private:
  uint32_t saved_;
};

__attribute__((noinline)) uint64_t DrawGap(uint64_t rate, RandomState* random) {
  // Uniform in (0, 1]: 53 random bits + 1.
  const double u = static_cast<double>((NextRandom(random) >> 11) + 1) * (1.0 / 9007199254740992.0);
  return static_cast<uint64_t>(-NaturalLog(u) * static_cast<double>(rate)) + 1;
}

}  // namespace

RandomState SeedRandom(uint64_t entropy) {
  // The finalizer of splitmix64: near-equal inputs (thread pointers, times) give unrelated states.
  uint64_t z = entropy + 0x9E3779B97F4A7C15ull;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
  z ^= z >> 31;
  return z != 0 ? z : 1;
}

double NaturalLog(double x) {
  uint64_t bits;
  memcpy(&bits, &x, sizeof(bits));
  int exponent = static_cast<int>(bits >> 52) - 1022;
  bits = (bits & 0x000FFFFFFFFFFFFFull) | 0x3FE0000000000000ull;  // mantissa in [0.5, 1)
  double m;
  memcpy(&m, &bits, sizeof(m));
  if (m < kSqrtHalf) {
    m *= 2;
    exponent--;
  }
  // ln m = 2 atanh(s), s = (m - 1) / (m + 1); |s| <= 0.1716, so the first term left out is below 4e-13.
  const double s = (m - 1) / (m + 1);
  const double s2 = s * s;
  double sum = 1.0 / 13;
  for (int n = 11; n >= 1; n -= 2) sum = sum * s2 + 1.0 / n;
  return exponent * kLn2 + 2 * s * sum;
}

uint64_t NextGap(uint64_t rate, RandomState* random) {
  if (rate <= 1) return 0;
  const QuietFloatingPoint quiet;
  return DrawGap(rate, random);
}

}  // namespace cgoprof
