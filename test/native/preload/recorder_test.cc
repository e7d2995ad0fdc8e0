// The recorder without its hooks: what is booked, put back, and shared by threads.
#include "preload/recorder.h"

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <random>
#include <thread>
#include <vector>

#include "recorder_child.h"

namespace cgoprof {
namespace {

__attribute__((noinline)) void Record(uintptr_t address) {
  RecordAlloc(reinterpret_cast<void*>(address), 101, CGOPROF_HOOK_FRAME());
}

// What the segment has booked, and that each bucket's bytes are those of its blocks, which are all of one size.
struct Booked {
  explicit Booked(const Header& header) {
    const Bucket* buckets = RecordsOf<Bucket>(header, kBuckets);
    for (uint64_t i = 0; i < header.regions[kBuckets].used; i++) {
      const Bucket& bucket = buckets[i];
      allocs += bucket.allocs.blocks;
      frees += bucket.frees.blocks;
      consistent &= bucket.allocs.bytes * bucket.frees.blocks == bucket.frees.bytes * bucket.allocs.blocks;
    }
    const LiveEntry* entries = RecordsOf<LiveEntry>(header, kLiveEntries);
    for (uint64_t i = 0; i < header.regions[kLiveEntries].used; i++) live += entries[i].address != kLiveFree;
  }
  uint64_t allocs = 0, frees = 0, live = 0;
  bool consistent = true;
};

TEST(Recorder, RecordsWhatIsAllocatedAndFreed) {
  const auto body = [](const Header& header) {
    Record(0x10000);
    Record(0x20000);
    LiveBlock taken = {};
    EXPECT_TRUE(TakeBlock(reinterpret_cast<void*>(0x10000), &taken));
    EXPECT_EQ(taken.size, 101u);
    CountFree(taken);
    EXPECT_EQ(Booked(header).allocs, 2u);
    EXPECT_EQ(Booked(header).frees, 1u);
    EXPECT_EQ(Booked(header).live, 1u);
  };
  EXPECT_EQ(0, InRecordingChild(CapacityFor(524288), body));
}

TEST(Recorder, CountsABlockWhoseFreeWentPastIt) {
  const auto body = [](const Header& header) {
    Record(0x10000);
    Record(0x10000);
    EXPECT_EQ(header.counters[kMissedFrees], 1u);
    EXPECT_EQ(Booked(header).allocs, 2u);
  };
  EXPECT_EQ(0, InRecordingChild(CapacityFor(524288), body));
}

TEST(Recorder, APutBackBlockIsFoundAgain) {
  const auto body = [](const Header&) {
    Record(0x10000);
    LiveBlock taken = {}, again = {};
    void* const block = reinterpret_cast<void*>(0x10000);
    EXPECT_TRUE(TakeBlock(block, &taken));
    EXPECT_FALSE(TakeBlock(block, &again));
    PutBlockBack(block, taken);
    EXPECT_TRUE(TakeBlock(block, &again));
    EXPECT_EQ(again.size, taken.size);
    EXPECT_EQ(again.bucket, taken.bucket);
  };
  EXPECT_EQ(0, InRecordingChild(CapacityFor(524288), body));
}

// An allocator's view of blocks that all threads share: who changes a block's state has it for himself until the next
// change. Its size is a prime of its own, so that its place in the books is too.
class SharedBlocks {
 public:
  static constexpr std::array<size_t, 7> kSizes = {13, 101, 211, 503, 1009, 2003, 4099};
  static constexpr uint32_t kBlocks = 4096;

  static size_t Size(uint32_t block) { return kSizes[block % kSizes.size()]; }
  static void* Address(uint32_t block) { return reinterpret_cast<void*>(uintptr_t{0x7f0000000000} + block * 48); }

  // One thread's part. Only what fails is counted: nothing may be allocated here.
  void Churn(uint32_t seed, int rounds) {
    std::minstd_rand random(seed);
    for (int i = 0; i < rounds; i++) {
      const uint32_t block = static_cast<uint32_t>(random()) % kBlocks;
      uint8_t state = states_[block].load(std::memory_order_relaxed);
      if (state == kBusy || !states_[block].compare_exchange_strong(state, kBusy, std::memory_order_acquire)) continue;
      if (state == kLive) {
        Free(block, /*put_back=*/random() % 5 == 0);
      } else {
        Allocate(block, random() % 8);
      }
    }
  }
  uint64_t allocs() const { return allocs_; }
  uint64_t frees() const { return frees_; }
  uint64_t unknown_frees() const { return unknown_frees_; }

 private:
  enum State : uint8_t { kFree, kLive, kBusy };

  // Each depth is a stack of its own.
  __attribute__((noinline)) void Allocate(uint32_t block, uint32_t depth) {
    if (depth > 0) {
      Allocate(block, depth - 1);
    } else {
      RecordAlloc(Address(block), Size(block), CGOPROF_HOOK_FRAME());
      allocs_.fetch_add(1, std::memory_order_relaxed);
      states_[block].store(kLive, std::memory_order_release);
    }
    __asm__ volatile("");  // no tail call
  }
  void Free(uint32_t block, bool put_back) {
    LiveBlock taken = {};
    const bool found = MayBeSampled(Address(block)) && TakeBlock(Address(block), &taken) && taken.size == Size(block);
    if (!found) unknown_frees_.fetch_add(1, std::memory_order_relaxed);
    if (put_back) {
      PutBlockBack(Address(block), taken);
    } else {
      CountFree(taken);
      frees_.fetch_add(1, std::memory_order_relaxed);
    }
    states_[block].store(put_back ? kLive : kFree, std::memory_order_release);
  }

  std::atomic<uint8_t> states_[kBlocks] = {};
  std::atomic<uint64_t> allocs_{0}, frees_{0}, unknown_frees_{0};
};

// Chains are few, so that blocks of all threads are entries of the same ones.
TEST(Recorder, EightThreadsThatFreeEachOthersBlocksLoseNothing) {
  SegmentCapacity capacity = CapacityFor(524288);
  capacity.live_heads = 64;
  const auto body = [](const Header& header) {
    static SharedBlocks blocks;
    std::vector<std::thread> threads;
    for (uint32_t t = 1; t <= 8; t++) threads.emplace_back([t] { blocks.Churn(t, 30011); });
    for (std::thread& thread : threads) thread.join();
    for (const CounterId id : {kDroppedBuckets, kDroppedLive, kMissedFrees}) EXPECT_EQ(header.counters[id], 0u) << id;
    EXPECT_EQ(blocks.unknown_frees(), 0u);
    EXPECT_GT(blocks.frees(), 1009u);
    const Booked booked(header);
    EXPECT_EQ(booked.allocs, blocks.allocs());
    EXPECT_EQ(booked.frees, blocks.frees());
    EXPECT_EQ(booked.live, blocks.allocs() - blocks.frees());
    EXPECT_TRUE(booked.consistent);
  };
  EXPECT_EQ(0, InRecordingChild(capacity, body));
}

}  // namespace
}  // namespace cgoprof
