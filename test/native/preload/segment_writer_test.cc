// Making the segment: its file, its growth, and every way in which it must not come to be.
#include "preload/segment_writer.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>
#include <thread>
#include <vector>

#include "test_segment.h"

namespace cgoprof {
namespace {

TEST(SegmentWriter, MakesAPrivateFileNamedAfterTheProcess) {
  TempDir dir;
  SegmentWriter writer;
  ASSERT_TRUE(writer.Create({dir.path().c_str(), 524288, 0xabc, kSmallCapacity}));
  const std::vector<std::string> files = dir.Files();
  ASSERT_EQ(files.size(), 1u);
  EXPECT_EQ(files[0], writer.path());
  EXPECT_NE(files[0].find("/" + std::to_string(getpid()) + "-"), std::string::npos);
  struct stat info;
  ASSERT_EQ(stat(writer.path(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0600u);
  EXPECT_LT(info.st_blocks * 512, 600 << 10) << "unused room must cost nothing";

  const Header& header = *writer.header();
  EXPECT_EQ(memcmp(header.magic, kMagic, sizeof(kMagic)), 0);
  EXPECT_EQ(header.state, kStateStarting);
  EXPECT_EQ(header.pid, static_cast<uint32_t>(getpid()));
  EXPECT_EQ(header.sample_rate, 524288u);
  EXPECT_EQ(header.run_id, 0xabcu);
  EXPECT_EQ(header.file_bytes, static_cast<uint64_t>(info.st_size));
  writer.Destroy();
  EXPECT_TRUE(dir.Files().empty());
}

TEST(SegmentWriter, MakesTheDirectoryItself) {
  TempDir dir;
  const std::string inner = dir.path() + "/inner";
  SegmentWriter writer;
  ASSERT_TRUE(writer.Create({inner.c_str(), 1, 0, kSmallCapacity}));
  struct stat info;
  ASSERT_EQ(stat(inner.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0700u);
  writer.Destroy();
}

TEST(SegmentWriter, RefusesADirectoryThatOthersCanReach) {
  TempDir dir;
  SegmentWriter writer;
  chmod(dir.path().c_str(), 0755);
  EXPECT_FALSE(writer.Create({dir.path().c_str(), 1, 0, kSmallCapacity}));
  const std::string link = dir.path() + "/link";
  chmod(dir.path().c_str(), 0700);
  ASSERT_EQ(symlink("/dev/shm", link.c_str()), 0);
  EXPECT_FALSE(writer.Create({link.c_str(), 1, 0, kSmallCapacity}));
  EXPECT_FALSE(writer.Create({"/proc/self", 1, 0, kSmallCapacity}));
}

// For a child that may die in the attempt: makes a segment under a resource limit and exits with 1 if that worked.
void CreateUnderLimit(const TempDir& dir, int resource, rlim_t bytes, const SegmentCapacity& capacity) {
  struct rlimit limit;
  limit.rlim_cur = limit.rlim_max = bytes;
  setrlimit(static_cast<__rlimit_resource>(resource), &limit);
  SegmentWriter writer;
  _exit(writer.Create({dir.path().c_str(), 1, 0, capacity}) ? 1 : 0);
}

TEST(SegmentWriter, DoesNotTryAFileBeyondTheSizeLimit) {
  TempDir dir;
  // SIGXFSZ would end the process.
  EXPECT_EXIT(CreateUnderLimit(dir, RLIMIT_FSIZE, 1 << 16, kSmallCapacity), testing::ExitedWithCode(0), "");
  EXPECT_TRUE(dir.Files().empty());
}

TEST(SegmentWriter, LeavesNothingBehindWithoutAddressSpace) {
  TempDir dir;
  EXPECT_EXIT(CreateUnderLimit(dir, RLIMIT_AS, 64 << 20, CapacityFor(1)), testing::ExitedWithCode(0), "");
  EXPECT_TRUE(dir.Files().empty());
}

TEST(SegmentWriter, HandsOutEveryRecordOnceUntilFull) {
  TestSegment segment;
  ASSERT_TRUE(segment.created());
  for (uint64_t i = 0; i < kSmallCapacity.buckets; i++) {
    ASSERT_EQ(segment.writer()->Allocate(kBuckets, 1), i);
    segment.writer()->At<Bucket>(kBuckets, i)->hash = static_cast<uint32_t>(i);
  }
  EXPECT_EQ(segment.writer()->Allocate(kBuckets, 1), kNoRecord);
  EXPECT_EQ(segment.writer()->header()->regions[kBuckets].committed, kSmallCapacity.buckets);
  EXPECT_EQ(segment.writer()->Allocate(kStacks, kSmallCapacity.stack_words + 1), kNoRecord);
}

TEST(SegmentWriter, ThreadsGetDisjointRecords) {
  SegmentCapacity capacity = kSmallCapacity;
  capacity.stack_words = 1 << 20;
  TestSegment segment(capacity);
  ASSERT_TRUE(segment.created());
  constexpr int kThreads = 4, kRounds = 5000, kWords = 7;
  std::vector<std::thread> threads;
  threads.reserve(kThreads);
  for (int t = 0; t < kThreads; t++) {
    threads.emplace_back([&segment] {
      for (int i = 0; i < kRounds; i++) {
        const uint64_t first = segment.writer()->Allocate(kStacks, kWords);
        ASSERT_NE(first, kNoRecord);
        for (int w = 0; w < kWords; w++) {
          uint64_t* word = segment.writer()->At<uint64_t>(kStacks, first + w);
          ASSERT_EQ(__atomic_fetch_add(word, 1, __ATOMIC_RELAXED), 0u);
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(segment.writer()->header()->regions[kStacks].used, uint64_t{kThreads * kRounds * kWords});
}

TEST(SegmentWriter, IsNotThereInAForkedChild) {
  TestSegment segment;
  ASSERT_TRUE(segment.created());
  EXPECT_DEATH({ segment.writer()->header()->counters[0] = 1; }, "");
  EXPECT_EQ(segment.counter(kMissedFrees), 0u);
}

TEST(CapacityFor, ExactRecordingGetsMore) {
  EXPECT_GT(CapacityFor(1).live_entries, CapacityFor(524288).live_entries);
  for (uint64_t rate : {uint64_t{1}, uint64_t{524288}}) {
    const SegmentCapacity capacity = CapacityFor(rate);
    EXPECT_EQ(capacity.bucket_heads & (capacity.bucket_heads - 1), 0u);
    EXPECT_EQ(capacity.live_heads & (capacity.live_heads - 1), 0u);
    EXPECT_LE(capacity.modules, kMaxModules);
  }
}

}  // namespace
}  // namespace cgoprof
