// The live set: nothing is forgotten, nothing is found that is not there, and freed entries are used again.
#include "preload/live_set.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <memory>
#include <random>
#include <thread>
#include <unordered_map>
#include <vector>

#include "test_segment.h"

namespace cgoprof {
namespace {

ForkWiped wiped;

class LiveSetTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(segment_.created());
    memset(&wiped, 0, sizeof(wiped));
    set_.Init(segment_.writer(), wiped.filter);
  }
  bool Contains(uintptr_t address) { return LiveSet::MayContain(wiped.filter, address); }
  TestSegment segment_;
  LiveSet set_;
};

TEST_F(LiveSetTest, GivesBackWhatWasPutIn) {
  LiveBlock block;
  EXPECT_FALSE(set_.Take(0x1000, &block));
  ASSERT_TRUE(set_.Insert(0x1000, {101, 77, 5}));
  EXPECT_TRUE(Contains(0x1000));
  ASSERT_TRUE(set_.Take(0x1000, &block));
  EXPECT_EQ(block.size, 101u);
  EXPECT_EQ(block.time_unix_ns, 77u);
  EXPECT_EQ(block.bucket, 5u);
  EXPECT_FALSE(set_.Take(0x1000, &block));
  EXPECT_FALSE(Contains(0x1000));
}

TEST_F(LiveSetTest, AgreesWithAMapOverRandomOperations) {
  std::mt19937_64 random(20260101);
  std::unordered_map<uintptr_t, uint64_t> model;
  for (int i = 0; i < 300000; i++) {
    const uintptr_t address = 0x7f0000000000 + (random() % 3000) * 16;
    const auto known = model.find(address);
    LiveBlock block;
    if (known != model.end()) {
      ASSERT_TRUE(Contains(address));
      ASSERT_TRUE(set_.Take(address, &block));
      ASSERT_EQ(block.size, known->second);
      model.erase(known);
    } else {
      ASSERT_FALSE(set_.Take(address, &block));
      const uint64_t size = random() % 100000;
      ASSERT_TRUE(set_.Insert(address, {size, 0, 0}));
      model[address] = size;
    }
  }
  for (const auto& [address, size] : model) EXPECT_TRUE(Contains(address)) << size;
}

TEST_F(LiveSetTest, UsesFreedEntriesAgain) {
  LiveBlock block;
  for (uintptr_t i = 0; i < 100000; i++) {
    ASSERT_TRUE(set_.Insert(0x10000 + i * 16, {1, 0, 0}));
    ASSERT_TRUE(set_.Take(0x10000 + i * 16, &block));
  }
  EXPECT_LE(segment_.writer()->header()->regions[kLiveEntries].used, kSmallCapacity.live_heads)
      << "one entry per chain is enough for one live block at a time";
}

TEST_F(LiveSetTest, SaysWhenItIsFullAndStaysRight) {
  uintptr_t inserted = 0;
  while (set_.Insert(0x10000 + inserted * 16, {inserted, 0, 0})) inserted++;
  EXPECT_GE(inserted, kSmallCapacity.live_entries);
  LiveBlock block;
  EXPECT_FALSE(set_.Take(0x10000 + inserted * 16, &block));
  for (uintptr_t i = 0; i < inserted; i++) {
    ASSERT_TRUE(set_.Take(0x10000 + i * 16, &block));
    ASSERT_EQ(block.size, i);
  }
}

// Addresses that share so many filter bytes, from the first one on.
std::vector<uintptr_t> AddressesInCells(size_t cells, size_t count) {
  std::vector<uintptr_t> addresses;
  for (uintptr_t address = 16; addresses.size() < count; address += 16) {
    if (FilterIndex(address) < cells) addresses.push_back(address);
  }
  return addresses;
}

TEST_F(LiveSetTest, ASaturatedFilterCellNeverMisses) {
  const std::vector<uintptr_t> addresses = AddressesInCells(1, 300);
  LiveBlock block;
  for (uintptr_t address : addresses) ASSERT_TRUE(set_.Insert(address, {1, 0, 0}));
  EXPECT_EQ(wiped.filter[0], 255);
  for (size_t i = 0; i + 1 < addresses.size(); i++) {
    ASSERT_TRUE(set_.Take(addresses[i], &block));
    ASSERT_TRUE(Contains(addresses.back()));
  }
  ASSERT_TRUE(set_.Take(addresses.back(), &block));
  EXPECT_EQ(wiped.filter[0], 255) << "it can no longer know that it is empty";
}

TEST_F(LiveSetTest, ThreadsWithTheirOwnBlocksNeverMeet) {
  constexpr int kThreads = 4;
  const std::vector<uintptr_t> addresses = AddressesInCells(64, 500 * kThreads);
  std::vector<std::thread> threads;
  threads.reserve(kThreads);
  for (int t = 0; t < kThreads; t++) {
    threads.emplace_back([this, t, &addresses] {
      std::mt19937_64 random(static_cast<uint64_t>(t));
      std::unordered_map<uintptr_t, uint64_t> model;
      for (int i = 0; i < 60000; i++) {
        // Thread t owns every fourth address.
        const uintptr_t address = addresses[(random() % 500) * kThreads + static_cast<size_t>(t)];
        LiveBlock block;
        if (model.count(address) != 0) {
          ASSERT_TRUE(LiveSet::MayContain(wiped.filter, address));
          ASSERT_TRUE(set_.Take(address, &block));
          ASSERT_EQ(block.size, model[address]);
          model.erase(address);
        } else {
          model[address] = random() % 1000;
          ASSERT_TRUE(set_.Insert(address, {model[address], 0, 0}));
        }
      }
      LiveBlock block;
      for (const auto& entry : model) ASSERT_TRUE(set_.Take(entry.first, &block));
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (size_t i = 0; i < kFilterBytes; i++) ASSERT_EQ(wiped.filter[i], 0) << i;
}

TEST_F(LiveSetTest, HandedOverBlocksAreFoundByTheOtherThread) {
  constexpr uintptr_t kBlocks = 20000;
  uintptr_t handed = 0;  // blocks [0, handed) belong to the taker
  std::thread maker([&] {
    for (uintptr_t i = 0; i < kBlocks; i++) {
      ASSERT_TRUE(set_.Insert(0x10000 + (i % 1000) * 16 + i * 65536, {i, 0, 0}));
      __atomic_store_n(&handed, i + 1, __ATOMIC_RELEASE);
      while (__atomic_load_n(&handed, __ATOMIC_ACQUIRE) != 0) std::this_thread::yield();
    }
  });
  for (uintptr_t i = 0; i < kBlocks; i++) {
    while (__atomic_load_n(&handed, __ATOMIC_ACQUIRE) != i + 1) std::this_thread::yield();
    const uintptr_t address = 0x10000 + (i % 1000) * 16 + i * 65536;
    LiveBlock block;
    EXPECT_TRUE(LiveSet::MayContain(wiped.filter, address));
    EXPECT_TRUE(set_.Take(address, &block));
    EXPECT_EQ(block.size, i);
    __atomic_store_n(&handed, 0, __ATOMIC_RELEASE);
  }
  maker.join();
}

TEST_F(LiveSetTest, IsEmptiedWhileOthersTakeTheirOwn) {
  constexpr uintptr_t kBlocks = 2003;
  for (uintptr_t i = 0; i < kBlocks; i++) ASSERT_TRUE(set_.Insert(0x10000 + i * 16, {i, 0, 0}));
  uint64_t bytes = 0;
  uintptr_t taken = 0;
  std::thread owner([&] {
    LiveBlock block;
    for (uintptr_t i = 0; i < kBlocks; i++) {
      if (!set_.Take(0x10000 + i * 16, &block)) continue;
      EXPECT_EQ(block.size, i);
      bytes += block.size;
      taken++;
    }
  });
  uint64_t swept_bytes = 0;
  uintptr_t swept = 0;
  LiveBlock block;
  for (uint64_t i = set_.entries(); i-- > 0;) {
    if (!set_.TakeAny(i, &block)) continue;
    swept_bytes += block.size;
    swept++;
  }
  owner.join();
  EXPECT_EQ(taken + swept, kBlocks);
  EXPECT_EQ(bytes + swept_bytes, kBlocks * (kBlocks - 1) / 2);
}

TEST_F(LiveSetTest, AForkedChildFindsItEmpty) {
  ASSERT_TRUE(WipeOnFork(&wiped));
  ASSERT_TRUE(set_.Insert(0x1000, {1, 0, 0}));
  wiped.recording = 1;
  const pid_t child = fork();
  if (child == 0) _exit(Contains(0x1000) || wiped.recording != 0 ? 1 : 0);
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  EXPECT_TRUE(Contains(0x1000));
  EXPECT_EQ(wiped.recording, 1u);
}

}  // namespace
}  // namespace cgoprof
