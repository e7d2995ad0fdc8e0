// The bucket table: what makes a bucket's identity, what it counts, and what happens when threads or room run out.
#include "preload/bucket_table.h"

#include <gtest/gtest.h>

#include <set>
#include <thread>
#include <vector>

#include "test_segment.h"

namespace cgoprof {
namespace {

Stack MakeStack(std::initializer_list<uint64_t> frames, uint8_t flags = 0) {
  Stack stack = {};
  for (uint64_t frame : frames) stack.frames[stack.depth++] = frame;
  stack.flags = flags;
  return stack;
}

class BucketTableTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(segment_.created());
    table_.Init(segment_.writer());
  }
  const Bucket& At(uint32_t index) { return *segment_.writer()->At<Bucket>(kBuckets, index); }
  TestSegment segment_;
  BucketTable table_;
};

TEST_F(BucketTableTest, OneBucketPerStackAndSizeClass) {
  const Stack a = MakeStack({1, 2, 3});
  const uint32_t first = table_.Find(a, 101);
  EXPECT_EQ(table_.Find(MakeStack({1, 2, 3}), 101), first);
  EXPECT_EQ(table_.Find(a, 102), first) << "same size class";
  std::set<uint32_t> buckets = {first};
  buckets.insert(table_.Find(a, 1009));
  buckets.insert(table_.Find(MakeStack({1, 2}), 101));
  buckets.insert(table_.Find(MakeStack({1, 2, 4}), 101));
  buckets.insert(table_.Find(MakeStack({1, 2, 3, 4}), 101));
  buckets.insert(table_.Find(MakeStack({1, 2, 3}, kStackTruncated), 101));
  buckets.insert(table_.Find(MakeStack({}), 101));
  EXPECT_EQ(buckets.size(), 7u);
  EXPECT_EQ(buckets.count(BucketTable::kNone), 0u);
}

TEST_F(BucketTableTest, KeepsTheStackAsItWas) {
  const Stack stack = MakeStack({0xdead, 0xbeef, 0xf00d}, kStackTruncated);
  const Bucket& bucket = At(table_.Find(stack, 211));
  EXPECT_EQ(bucket.published, 1u);
  EXPECT_EQ(bucket.depth, 3);
  EXPECT_EQ(bucket.flags, kStackTruncated);
  EXPECT_EQ(bucket.kind, kBucketHeap);
  EXPECT_EQ(bucket.size_class, SizeClass(211));
  for (int i = 0; i < 3; i++) {
    EXPECT_EQ(*segment_.writer()->At<uint64_t>(kStacks, bucket.stack + i), stack.frames[i]);
  }
}

TEST_F(BucketTableTest, CountsBlocksAndBytes) {
  const uint32_t index = table_.Find(MakeStack({7}), 101);
  for (int i = 0; i < 5; i++) table_.AddAlloc(index, 101);
  table_.AddFree(index, 101);
  const Bucket& bucket = At(index);
  EXPECT_EQ(bucket.allocs.blocks, 5u);
  EXPECT_EQ(bucket.allocs.bytes, 505u);
  EXPECT_EQ(bucket.frees.blocks, 1u);
  EXPECT_EQ(bucket.frees.bytes, 101u);
}

TEST_F(BucketTableTest, SaysWhenItIsFull) {
  uint64_t made = 0;
  while (table_.Find(MakeStack({made + 1}), 1) != BucketTable::kNone) made++;
  EXPECT_EQ(made, kSmallCapacity.buckets);
  EXPECT_NE(table_.Find(MakeStack({1}), 1), BucketTable::kNone) << "what is there is still found";
}

TEST_F(BucketTableTest, WhatFindsNoRoomHasABucketForEachDoublingOfItsSize) {
  table_.ReserveWithoutStack();
  for (uint64_t i = 1; table_.Find(MakeStack({i}), 1) != BucketTable::kNone; i++) {
  }
  const uint32_t index = table_.FindWithoutStack(211);
  ASSERT_NE(index, BucketTable::kNone);
  EXPECT_EQ(At(index).depth, 0);
  EXPECT_EQ(At(index).size_class, SizeClass(128));
  EXPECT_EQ(table_.FindWithoutStack(255), index);
  EXPECT_NE(table_.FindWithoutStack(256), index);
  EXPECT_EQ(table_.FindWithoutStack(0), table_.FindWithoutStack(1));
  EXPECT_NE(table_.FindWithoutStack(~uint64_t{0}), BucketTable::kNone);
}

TEST_F(BucketTableTest, ThreadsThatRaceForTheSameBucketsLoseNoCount) {
  constexpr int kThreads = 4, kRounds = 20000, kStacksUsed = 61;
  std::vector<std::thread> threads;
  threads.reserve(kThreads);
  for (int t = 0; t < kThreads; t++) {
    threads.emplace_back([this] {
      for (int i = 0; i < kRounds; i++) {
        const uint32_t index = table_.Find(MakeStack({static_cast<uint64_t>(i % kStacksUsed) + 1, 5}), 13);
        table_.AddAlloc(index, 13);
        if (i % 2 == 0) table_.AddFree(index, 13);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  uint64_t allocs = 0, frees = 0;
  int counted = 0;
  for (uint64_t i = 0; i < segment_.writer()->header()->regions[kBuckets].used; i++) {
    const Bucket& bucket = At(static_cast<uint32_t>(i));
    EXPECT_EQ(bucket.published, 1u);
    if (bucket.allocs.blocks == 0) continue;  // the loser of a race
    counted++;
    EXPECT_EQ(bucket.allocs.bytes, bucket.allocs.blocks * 13);
    EXPECT_EQ(bucket.frees.bytes, bucket.frees.blocks * 13);
    allocs += bucket.allocs.blocks;
    frees += bucket.frees.blocks;
  }
  EXPECT_EQ(counted, kStacksUsed);
  EXPECT_EQ(allocs, uint64_t{kThreads} * kRounds);
  EXPECT_EQ(frees, uint64_t{kThreads} * kRounds / 2);
}

TEST(SizeClass, IsMonotoneExactWhenSmallAndNarrow) {
  for (uint64_t size = 0; size < 16; size++) EXPECT_EQ(SizeClass(size), size);
  uint64_t class_start = 0;
  for (uint64_t size = 1; size < 100000; size++) {
    const uint32_t step = SizeClass(size) - SizeClass(size - 1);
    ASSERT_LE(step, 1u) << size;
    if (step == 1) {
      if (class_start >= 16) {
        EXPECT_LE(size - class_start, class_start / 8) << class_start;
      }
      class_start = size;
    }
  }
  EXPECT_LT(SizeClass(~uint64_t{0}), 512u);
}

}  // namespace
}  // namespace cgoprof
