// What the recorder cannot book in full: every block is counted all the same, and every loss is, to the block.
#include <gtest/gtest.h>

#include "preload/recorder.h"
#include "recorder_child.h"

namespace cgoprof {
namespace {

constexpr size_t kBytes = 101;
constexpr uint32_t kStacks = 61;  // on top of the test runner's own frames: no stack is too deep

// Records a block at the end of so many frames; each depth is a stack of its own.
__attribute__((noinline)) void RecordBelow(uint32_t depth, uintptr_t address) {
  if (depth > 0) {
    RecordBelow(depth - 1, address);
  } else {
    RecordAlloc(reinterpret_cast<void*>(address), kBytes, CGOPROF_HOOK_FRAME());
  }
  __asm__ volatile("");  // no tail call
}

// The n-th block of a stack.
uintptr_t Address(uint32_t stack, uint32_t n) { return 0x7f0000000000 + (uint64_t{n} * kStacks + stack) * 112; }

void RecordStacks(uint32_t blocks_each) {
  for (uint32_t n = 0; n < blocks_each; n++) {
    for (uint32_t stack = 0; stack < kStacks; stack++) RecordBelow(stack, Address(stack, n));
  }
}

void FreeStacks(uint32_t blocks_each) {
  for (uint32_t n = 0; n < blocks_each; n++) {
    for (uint32_t stack = 0; stack < kStacks; stack++) {
      LiveBlock taken;
      ASSERT_TRUE(TakeBlock(reinterpret_cast<void*>(Address(stack, n)), &taken));
      CountFree(taken);
    }
  }
}

// Blocks in the buckets with a stack and in those without, and whether they were freed.
struct Booked {
  explicit Booked(const Header& header) {
    for (uint64_t i = 0; i < header.regions[kBuckets].used; i++) {
      const Bucket& bucket = RecordsOf<Bucket>(header, kBuckets)[i];
      EXPECT_EQ(bucket.allocs.bytes, bucket.allocs.blocks * kBytes);
      EXPECT_EQ(bucket.frees.bytes, bucket.frees.blocks * kBytes);
      (bucket.depth > 0 ? with_stack : without_stack) += bucket.allocs.blocks;
      if (bucket.depth > 0 && bucket.allocs.blocks > 0) stacks++;
      if ((bucket.flags & kStackTruncated) != 0) truncated += bucket.allocs.blocks;
      frees += bucket.frees.blocks;
    }
  }
  uint64_t with_stack = 0, without_stack = 0, stacks = 0, truncated = 0, frees = 0;
};

// What fits keeps its stacks, what does not is under none.
void ExpectNoBlockLost(const Header& header) {
  constexpr uint32_t kBlocksEach = 3;
  RecordStacks(kBlocksEach);
  const Booked booked(header);
  EXPECT_GT(booked.stacks, 0u);
  EXPECT_LT(booked.stacks, kStacks);
  EXPECT_EQ(booked.with_stack, booked.stacks * kBlocksEach);
  EXPECT_EQ(booked.with_stack + booked.without_stack, kStacks * kBlocksEach);
  EXPECT_EQ(header.counters[kDroppedBuckets], booked.without_stack);
  EXPECT_EQ(header.counters[kTruncatedStacks], 0u);
  FreeStacks(kBlocksEach);
  EXPECT_EQ(Booked(header).frees, kStacks * kBlocksEach);
}

TEST(RecorderLoss, BlocksOfStacksForWhichThereIsNoBucketAreCountedWithoutOne) {
  SegmentCapacity capacity = CapacityFor(524288);
  capacity.buckets = 64;
  EXPECT_EQ(InRecordingChild(capacity, &ExpectNoBlockLost), 0);
}

TEST(RecorderLoss, BlocksOfStacksForWhichThereAreNoWordsAreCountedWithoutOne) {
  SegmentCapacity capacity = CapacityFor(524288);
  capacity.stack_words = 499;
  EXPECT_EQ(InRecordingChild(capacity, &ExpectNoBlockLost), 0);
}

void ExpectTheDroppedToBeCounted(const Header& header) {
  RecordStacks(1);
  const Booked booked(header);
  EXPECT_EQ(booked.with_stack + booked.without_stack, 0u);
  EXPECT_EQ(header.counters[kDroppedBuckets], kStacks);
  LiveBlock taken;
  EXPECT_FALSE(TakeBlock(reinterpret_cast<void*>(Address(0, 0)), &taken));
}

TEST(RecorderLoss, WhereNotEvenBucketsWithoutAStackFitTheDroppedAreCounted) {
  SegmentCapacity capacity = CapacityFor(524288);
  capacity.buckets = 1;  // for blocks of one byte
  EXPECT_EQ(InRecordingChild(capacity, &ExpectTheDroppedToBeCounted), 0);
}

void ExpectTheTruncatedToBeCounted(const Header& header) {
  constexpr uint32_t kTooDeep = kMaxStackDepth + 1, kDeepBlocks = 17;
  RecordStacks(1);
  EXPECT_EQ(header.counters[kTruncatedStacks], 0u);
  for (uint32_t n = 1; n <= kDeepBlocks; n++) RecordBelow(kTooDeep, Address(0, n));
  EXPECT_EQ(header.counters[kTruncatedStacks], kDeepBlocks);
  const Booked booked(header);
  EXPECT_EQ(booked.truncated, kDeepBlocks);
  EXPECT_EQ(booked.with_stack, kStacks + kDeepBlocks);
  EXPECT_EQ(header.counters[kDroppedBuckets], 0u);
  EXPECT_EQ(header.counters[kGoBoundaryFailed], 0u);
}

TEST(RecorderLoss, BlocksOfTruncatedStacksAreCounted) {
  EXPECT_EQ(InRecordingChild(CapacityFor(524288), &ExpectTheTruncatedToBeCounted), 0);
}

}  // namespace
}  // namespace cgoprof
