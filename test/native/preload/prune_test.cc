// Which files are removed to make room, and which never.
#include "preload/prune.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <string>

#include "preload/proc_stat.h"
#include "shared/segment_layout.h"
#include "temp_dir.h"

namespace cgoprof {
namespace {

// No process has pid 2147483647 (the kernel's limit is 4194304).
std::string DeadName(int n) { return "2147483647-" + std::to_string(n) + ".seg"; }

struct FileSpec {
  int age_seconds = 0;  // since the last sample
  size_t bytes = sizeof(Header);
  uint32_t pid_namespace = PidNamespace();
  uint64_t run_id = 0;
  uint64_t pruned_segments = 0;
};

void MakeFile(const TempDir& dir, const std::string& name, const FileSpec& spec) {
  const std::string path = dir.path() + "/" + name;
  const int fd = open(path.c_str(), O_CREAT | O_WRONLY, 0600);
  ASSERT_GE(fd, 0);
  ASSERT_EQ(posix_fallocate(fd, 0, static_cast<off_t>(std::max(spec.bytes, sizeof(Header)))), 0);
  Header header = {};
  header.pid_namespace = spec.pid_namespace;
  header.run_id = spec.run_id;
  header.created_unix_ns = 1;
  header.counters[kPrunedSegments] = spec.pruned_segments;
  header.last_sample_unix_ns = (uint64_t{1000000} - static_cast<uint64_t>(spec.age_seconds)) * 1000000000u;
  ASSERT_EQ(pwrite(fd, &header, sizeof(header), 0), static_cast<ssize_t>(sizeof(header)));
  close(fd);
}

bool Exists(const TempDir& dir, const std::string& name) {
  return access((dir.path() + "/" + name).c_str(), F_OK) == 0;
}

TEST(ParseSegmentName, ReadsItsOwnNamesOnly) {
  uint64_t start_time = 0;
  EXPECT_EQ(ParseSegmentName("123-456.seg", &start_time), 123u);
  EXPECT_EQ(start_time, 456u);
  for (const char* name :
       {"", ".", "123.seg", "123-.seg", "-456.seg", "123-456.segx", "123-456", "x123-456.seg", "99999999999-1.seg"}) {
    EXPECT_EQ(ParseSegmentName(name, &start_time), 0u) << name;
  }
}

TEST(PruneDeadSegments, KeepsTheNewestEight) {
  TempDir dir;
  for (int i = 0; i < 11; i++) MakeFile(dir, DeadName(i), {/*age_seconds=*/i * 60});
  PruneDeadSegments(dir.path().c_str(), 0);
  for (int i = 0; i < 8; i++) EXPECT_TRUE(Exists(dir, DeadName(i))) << i;
  for (int i = 8; i < 11; i++) EXPECT_FALSE(Exists(dir, DeadName(i))) << i;
}

TEST(PruneDeadSegments, KeepsWithinTheMemoryLimit) {
  TempDir dir;
  for (int i = 0; i < 3; i++) MakeFile(dir, DeadName(i), {i * 60, size_t{100} << 20});
  PruneDeadSegments(dir.path().c_str(), 0);
  EXPECT_TRUE(Exists(dir, DeadName(0)));
  EXPECT_TRUE(Exists(dir, DeadName(1)));
  EXPECT_FALSE(Exists(dir, DeadName(2)));
}

TEST(PruneDeadSegments, LeavesTheLivingAndTheUnknownAlone) {
  TempDir dir;
  const std::string alive = std::to_string(getpid()) + "-" + std::to_string(ReadStartTime("self")) + ".seg";
  const std::string reused_pid = std::to_string(getpid()) + "-1.seg";
  MakeFile(dir, alive, {100000});
  MakeFile(dir, "notes.txt", {100000});
  MakeFile(dir, reused_pid, {100000});
  for (int i = 0; i < 8; i++) MakeFile(dir, DeadName(i), {i});
  PruneDeadSegments(dir.path().c_str(), 0);
  EXPECT_TRUE(Exists(dir, alive));
  EXPECT_TRUE(Exists(dir, "notes.txt"));
  EXPECT_FALSE(Exists(dir, reused_pid)) << "same pid, other start time: another process, which is dead";
  EXPECT_EQ(dir.Files().size(), 10u);
}

TEST(PruneDeadSegments, LeavesOtherPidNamespacesAlone) {
  TempDir dir;
  for (int i = 0; i < 11; i++) MakeFile(dir, DeadName(i), {i * 60, 0, PidNamespace() + 1});
  PruneDeadSegments(dir.path().c_str(), 0);
  EXPECT_EQ(dir.Files().size(), 11u) << "their writers may live, unseen from here";
}

TEST(PruneDeadSegments, LeavesTheRunAloneWhoseProfileIsStillToBeWritten) {
  TempDir dir;
  for (int i = 0; i < 11; i++) MakeFile(dir, DeadName(i + 1), {i * 60, 0, PidNamespace(), 77});
  PruneDeadSegments(dir.path().c_str(), 77);
  EXPECT_EQ(dir.Files().size(), 11u);
  PruneDeadSegments(dir.path().c_str(), 78);
  EXPECT_EQ(dir.Files().size(), 8u);
}

TEST(PruneDeadSegments, EvenThatRunMayNotFillTheMemory) {
  TempDir dir;
  for (int i = 0; i < 3; i++) MakeFile(dir, DeadName(i + 1), {i * 60, size_t{100} << 20, PidNamespace(), 77});
  EXPECT_EQ(PruneDeadSegments(dir.path().c_str(), 77), 1u);
  EXPECT_EQ(dir.Files().size(), 2u);
}

TEST(PruneDeadSegments, CountsWhatTheOwnRunLoses) {
  TempDir dir;
  MakeFile(dir, DeadName(1), {60, size_t{100} << 20, PidNamespace(), 77, /*pruned_segments=*/5});
  MakeFile(dir, DeadName(2), {50, size_t{100} << 20, PidNamespace(), 77, /*pruned_segments=*/3});
  MakeFile(dir, DeadName(3), {40, size_t{100} << 20, PidNamespace(), 78, /*pruned_segments=*/9});
  MakeFile(dir, DeadName(4), {30, size_t{250} << 20, PidNamespace(), 77, /*pruned_segments=*/1});
  EXPECT_EQ(PruneDeadSegments(dir.path().c_str(), 77), 5u + 1u + 3u + 1u) << "two of its own, and those before them";
  EXPECT_EQ(dir.Files().size(), 1u);
  MakeFile(dir, DeadName(5), {10, size_t{250} << 20, PidNamespace(), 77, /*pruned_segments=*/1});
  EXPECT_EQ(PruneDeadSegments(dir.path().c_str(), 0), 0u) << "who has no run loses nothing";
  EXPECT_EQ(dir.Files().size(), 1u);
}

TEST(PruneDeadSegments, LooksAtMoreThanItCanList) {
  TempDir dir;
  const int kFiles = 300;
  for (int i = 0; i < kFiles; i++) MakeFile(dir, DeadName(i + 1), {i, size_t{1} << 20, PidNamespace(), 77});
  EXPECT_EQ(PruneDeadSegments(dir.path().c_str(), 77), 44u) << "1 MiB each, and room for 256";
  for (int i = 0; i < kFiles; i++) EXPECT_EQ(Exists(dir, DeadName(i + 1)), i < 256) << i;
}

TEST(PruneDeadSegments, InheritsTheCountOfTheProgramThatThisProcessWas) {
  TempDir dir;
  const std::string own = std::to_string(getpid()) + "-" + std::to_string(ReadStartTime("self")) + ".seg";
  MakeFile(dir, own, {0, 0, PidNamespace(), 77, /*pruned_segments=*/5});
  EXPECT_EQ(PruneDeadSegments(dir.path().c_str(), 77), 5u);
  EXPECT_EQ(PruneDeadSegments(dir.path().c_str(), 78), 0u);
  EXPECT_TRUE(Exists(dir, own));
}

TEST(PruneOldestIfFull, RemovesNothingWhileThereIsRoom) {
  TempDir dir;
  MakeFile(dir, DeadName(1), {60});
  uint64_t lost = 0;
  EXPECT_FALSE(PruneOldestIfFull(dir.path().c_str(), 0, &lost));
  EXPECT_EQ(dir.Files().size(), 1u);
  EXPECT_FALSE(PruneOldestIfFull("/nonexistent/cgoprof", 0, &lost));
  EXPECT_EQ(lost, 0u);
}

TEST(PruneDeadSegments, DoesNothingWithoutADirectory) { PruneDeadSegments("/nonexistent/cgoprof", 0); }

TEST(IsProcessAlive, TellsAReusedPid) {
  const uint64_t start = ReadStartTime("self");
  EXPECT_NE(start, 0u);
  EXPECT_TRUE(IsProcessAlive(static_cast<uint32_t>(getpid()), start));
  EXPECT_FALSE(IsProcessAlive(static_cast<uint32_t>(getpid()), start + 1));
  EXPECT_FALSE(IsProcessAlive(2147483647, 0x7fffffff));
}

}  // namespace
}  // namespace cgoprof
