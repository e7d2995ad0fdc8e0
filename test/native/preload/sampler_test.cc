// The sampler: the logarithm, the gaps, and the probability that they give a block to be sampled.
#include "preload/sampler.h"

#include <gtest/gtest.h>

#include <cmath>

#include "preload/recorder.h"

namespace cgoprof {
namespace {

TEST(NaturalLog, AgreesWithLibm) {
  for (int i = 0; i <= 350000; i++) {
    const double x = std::exp(-i * 1e-4);  // 1 down to 6e-16
    EXPECT_NEAR(NaturalLog(x), std::log(x), 1e-9) << x;
  }
  EXPECT_EQ(NaturalLog(1.0), 0.0);
}

TEST(NextGap, RateOneSamplesEveryAllocationAlsoAnEmptyOne) {
  RandomState random = SeedRandom(1);
  for (int i = 0; i < 100; i++) EXPECT_EQ(NextGap(1, &random), 0u);
}

TEST(NextGap, MeanIsTheRate) {
  constexpr int kDraws = 1000000;
  constexpr double kRate = 524288;
  RandomState random = SeedRandom(20260101);
  double sum = 0, squares = 0;
  for (int i = 0; i < kDraws; i++) {
    const double gap = static_cast<double>(NextGap(524288, &random));
    sum += gap;
    squares += gap * gap;
  }
  // Mean and standard deviation of an exponential are both the rate; the mean's own deviation is rate / sqrt(n).
  const double mean = sum / kDraws;
  EXPECT_NEAR(mean, kRate, 4 * kRate / std::sqrt(kDraws));
  EXPECT_NEAR(std::sqrt(squares / kDraws - mean * mean), kRate, 0.01 * kRate);
}

// Counts down as the hooks do and compares with 1 - exp(-size / rate).
void ExpectSampleProbability(uint64_t size, uint64_t rate, int allocations) {
  RandomState random = SeedRandom(size * 31 + rate);
  uint64_t left = NextGap(rate, &random);
  int samples = 0;
  for (int i = 0; i < allocations; i++) {
    if (size >= left) {
      samples++;
      left = NextGap(rate, &random);
    } else {
      left -= size;
    }
  }
  const double p = 1 - std::exp(-static_cast<double>(size) / static_cast<double>(rate));
  const double deviation = std::sqrt(p * (1 - p) / allocations);
  EXPECT_NEAR(static_cast<double>(samples) / allocations, p, 4 * deviation) << size << " at " << rate;
}

TEST(NextGap, SamplesABlockWithTheProbabilityThatTheToolAssumes) {
  ExpectSampleProbability(61, 4096, 2000000);
  ExpectSampleProbability(4093, 4096, 1000000);
  ExpectSampleProbability(20011, 4096, 300000);
  ExpectSampleProbability(2, 2, 300000);
}

TEST(SeedRandom, IsNeverTheFixedPointOfXorshift) {
  for (uint64_t entropy = 0; entropy < 1000; entropy++) EXPECT_NE(SeedRandom(entropy), 0u);
  EXPECT_NE(SeedRandom(0 - 0x9E3779B97F4A7C15ull), 0u);
}

bool IsDue(int64_t left, size_t size) {
  const int64_t before = thread_state.bytes_to_sample;
  thread_state.bytes_to_sample = left;
  const bool due = CountDown(size);
  thread_state.bytes_to_sample = before;
  return due;
}

TEST(CountDown, IsDueWhenTheSampleLiesInTheBlock) {
  EXPECT_FALSE(IsDue(101, 100));
  EXPECT_TRUE(IsDue(101, 101));
  EXPECT_TRUE(IsDue(101, 102));
  EXPECT_FALSE(IsDue(1, 0));
  EXPECT_TRUE(IsDue(0, 0)) << "every allocation is to be sampled";
}

TEST(CountDown, ASizeThatNoAllocatorHasDoesNotCountTheOtherWay) {
  for (size_t size : {~size_t{0}, ~size_t{0} - 4095, size_t{1} << 63, (size_t{1} << 63) + 1, size_t{3} << 62}) {
    EXPECT_TRUE(IsDue(524288, size)) << size;
    EXPECT_TRUE(IsDue(0, size)) << size;
  }
}

TEST(CountDown, IsDueAtOnceWhereASignalHandlerJumpedOutOfAHook) {
  EXPECT_TRUE(IsDue(-5, 0));
  EXPECT_TRUE(IsDue(-5, 100));
}

}  // namespace
}  // namespace cgoprof
