// Reading while the writer runs: what is not marked as torn is true, and a file that shrinks hurts nobody.
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <string>
#include <thread>

#include "addon/segment_reader.h"
#include "segment_builder.h"
#include "temp_file.h"

namespace cgoprof {
namespace {

constexpr uint64_t kBlock = 7919;
constexpr uint32_t kBucketsAdded = 53;

std::string ManyBuckets() {
  SegmentBuilder builder;
  builder.AddStack({MakeFrame(0, 0x1234)});
  for (uint32_t i = 0; i < kBucketsAdded; ++i) {
    Bucket bucket = {};
    bucket.kind = kBucketHeap;
    bucket.depth = 1;
    bucket.published = 1;
    bucket.allocs = bucket.frees = {1, kBlock};
    builder.AddBucket(bucket);
  }
  return builder.Build();
}

// One more block, counted by the protocol of segment_layout.h.
__attribute__((target("cx16"))) void AddBlock(BlockCount* count) {
  __extension__ using Pair = unsigned __int128;
  const Pair before = Pair{count->bytes} << 64 | count->blocks;  // nobody else writes
  const Pair after = Pair{count->bytes + kBlock} << 64 | (count->blocks + 1);
  if (!__sync_bool_compare_and_swap(reinterpret_cast<Pair*>(count), before, after)) abort();
}

// One block allocated and freed.
void Update(Bucket* bucket) {
  AddBlock(&bucket->allocs);
  AddBlock(&bucket->frees);
}

void ExpectConsistent(const SegmentBucket& bucket) {
  ASSERT_LE(bucket.frees, bucket.allocs);
  ASSERT_LE(bucket.allocs, bucket.frees + 1);
  ASSERT_EQ(bucket.alloc_bytes, bucket.allocs * kBlock);
  ASSERT_EQ(bucket.free_bytes, bucket.frees * kBlock);
}

TEST(SegmentReaderLive, WhatIsNotTornIsConsistent) {
  std::string bytes = ManyBuckets();
  const TempFile file(bytes);
  const uint64_t buckets_at = HeaderOf(&bytes)->regions[kBuckets].offset;
  void* const mapping = mmap(nullptr, bytes.size(), PROT_READ | PROT_WRITE, MAP_SHARED, file.fd(), 0);
  ASSERT_NE(mapping, MAP_FAILED);
  auto* const buckets = reinterpret_cast<Bucket*>(static_cast<char*>(mapping) + buckets_at);

  std::atomic<bool> stop{false};
  uint64_t updates = 0;
  std::thread writer([&] {
    while (!stop) Update(&buckets[updates++ % kBucketsAdded]);
  });
  for (int round = 0; round < 499; ++round) {
    const SegmentReadResult result = ReadSegment(file.path());
    EXPECT_EQ(result.error.code, "") << result.error.message;
    EXPECT_EQ(result.segment.buckets.size(), kBucketsAdded);
    for (const SegmentBucket& bucket : result.segment.buckets) {
      if (!bucket.torn) ExpectConsistent(bucket);
    }
  }
  stop = true;
  writer.join();

  uint64_t allocs = 0;
  for (const SegmentBucket& bucket : ReadSegment(file.path()).segment.buckets) {
    EXPECT_FALSE(bucket.torn);
    ExpectConsistent(bucket);
    allocs += bucket.allocs;
  }
  EXPECT_EQ(allocs, updates + kBucketsAdded);
  munmap(mapping, bytes.size());
}

TEST(SegmentReaderLive, AFileThatShrinksIsRefusedOrReadWhole) {
  const std::string bytes = ManyBuckets();
  const TempFile file(bytes);
  std::atomic<bool> stop{false};
  std::thread cutter([&] {
    for (uint64_t round = 0; !stop; ++round) {
      EXPECT_EQ(ftruncate(file.fd(), static_cast<off_t>(round * 997 % bytes.size())), 0);
      EXPECT_EQ(pwrite(file.fd(), bytes.data(), bytes.size(), 0), static_cast<ssize_t>(bytes.size()));
    }
  });
  for (int round = 0; round < 499; ++round) {
    const SegmentReadResult result = ReadSegment(file.path());
    if (!result.error) continue;
    EXPECT_TRUE(result.error.code == "SEGMENT_DAMAGED" || result.error.code == "NOT_A_SEGMENT") << result.error.code;
  }
  stop = true;
  cutter.join();
  EXPECT_EQ(ReadSegment(file.path()).segment.buckets.size(), kBucketsAdded);
}

}  // namespace
}  // namespace cgoprof
