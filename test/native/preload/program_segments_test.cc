// Whether a whole program gets a segment, where its pages come from, what happens without room, and what becomes of it.
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "program_run.h"

namespace cgoprof {
namespace {

TEST(Programs, LockedMemoryDoesNotTakeTheWholeReservation) {
  const ProgramRun run({"locked_memory"}, {"CGOPROF_RATE=1"});
  ASSERT_TRUE(run.Succeeded());
  EXPECT_EQ(OfSize(run.Read(), 1709), (Totals{101, 0}));
  struct stat info;
  ASSERT_EQ(stat(run.SegmentFiles().at(0).c_str(), &info), 0);
  EXPECT_LT(info.st_blocks * 512, 16 << 20);
}

// ---- Where the segment's pages come from ----

constexpr int kNoNamespaces = 77;

// Gives this process a /dev/shm of its own.
bool MountSmallSharedMemory(const char* size) {
  const uid_t user = geteuid();
  const gid_t group = getegid();
  if (unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) return false;
  std::ofstream("/proc/self/setgroups") << "deny";
  std::ofstream("/proc/self/uid_map") << "0 " << user << " 1";
  std::ofstream("/proc/self/gid_map") << "0 " << group << " 1";
  return mount("none", "/dev/shm", "tmpfs", 0, size) == 0;
}

// So small that exact recording soon fills it.
constexpr char kSoonFull[] = "size=7m";

// Runs `body` in a child process that has that; the child says itself which expectations failed.
int InSmallSharedMemory(const char* size, void (*body)()) {
  const pid_t child = fork();
  if (child == 0) {
    if (!MountSmallSharedMemory(size)) _exit(kNoNamespaces);
    body();
    _exit(testing::Test::HasFailure() ? 1 : 0);
  }
  int status = 0;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

// What keep_many keeps.
constexpr uint64_t kManyBlocks = 4 * 20011;

const std::vector<std::string> kKeepMany = {"keep_many"};
// Linux 5.13, which does not know MADV_POPULATE_WRITE, and 4.13, which does not know MADV_WIPEONFORK either.
const std::string kWithoutPopulateWrite = "23", kWithoutWipeOnFork = "18";
const std::vector<std::string> kKeepManyOnAnOldKernel = {"old_kernel", kWithoutPopulateWrite,
                                                         CGOPROF_PROGRAMS "/keep_many"};

void ExpectAllButWhatFoundNoRoom(const std::vector<std::string>& command) {
  const ProgramRun run(command, {"CGOPROF_PROFILE=keep_many"});
  ASSERT_TRUE(run.Succeeded()) << run.status();
  const Segment segment = run.Read();
  const uint64_t* counters = segment.header.counters;
  EXPECT_GT(counters[kDroppedLive], 0u);
  EXPECT_EQ(OfSize(segment, 211), (Totals{kManyBlocks, counters[kDroppedLive]}));
}

TEST(Programs, WhatFindsNoRoomIsCounted) {
  const int status = InSmallSharedMemory(kSoonFull, [] { ExpectAllButWhatFoundNoRoom(kKeepMany); });
  if (status == kNoNamespaces) GTEST_SKIP() << "namespaces cannot be made here";
  EXPECT_EQ(status, 0);
}

TEST(Programs, WhatFindsNoRoomOnAnOldKernelIsCounted) {
  const int status = InSmallSharedMemory(kSoonFull, [] { ExpectAllButWhatFoundNoRoom(kKeepManyOnAnOldKernel); });
  if (status == kNoNamespaces) GTEST_SKIP() << "namespaces cannot be made here";
  EXPECT_EQ(status, 0);
}

void ExpectConformance() {
  const ProgramRun bare({"conformance"}, {}, /*preload=*/false);
  const ProgramRun run({"conformance"});
  EXPECT_TRUE(run.Succeeded()) << run.status();
  EXPECT_GT(bare.Output().size(), 10000u);
  EXPECT_EQ(run.Output(), bare.Output());
}

class RoomForSegments : public testing::TestWithParam<const char*> {};

// From what does not hold a segment's beginning to what holds just some of it.
TEST_P(RoomForSegments, TooLittleChangesNothing) {
  const int status = InSmallSharedMemory(GetParam(), &ExpectConformance);
  if (status == kNoNamespaces) GTEST_SKIP() << "namespaces cannot be made here";
  EXPECT_EQ(status, 0);
}
INSTANTIATE_TEST_SUITE_P(Programs, RoomForSegments,
                         testing::Values("size=64k", "size=256k", "size=1m", "size=2m", "size=4m", "size=5m",
                                         "size=6m"),
                         [](const auto& info) { return std::string(info.param).substr(5); });

TEST(Programs, NothingIsLostOnAnOldKernel) {
  const ProgramRun run(kKeepManyOnAnOldKernel, {"CGOPROF_PROFILE=keep_many"});
  ASSERT_TRUE(run.Succeeded()) << run.status();
  const Segment segment = run.Read();
  ExpectNothingLost(segment);
  EXPECT_EQ(OfSize(segment, 211), (Totals{kManyBlocks, 0}));
}

TEST(Programs, AFileThatTookTheSegmentsNameIsLeftAlone) {
  const ProgramRun run({"old_kernel", kWithoutPopulateWrite, CGOPROF_PROGRAMS "/replaced_segment"},
                       {"CGOPROF_PROFILE=replaced_segment"});
  ASSERT_TRUE(run.Succeeded()) << run.status();
  const Segment segment = run.Read();
  ExpectNothingLost(segment);
  EXPECT_EQ(OfSize(segment, 211), (Totals{20011, 0}));
}

// ---- Ways to fail to start ----

// The program runs on, and the library says in a word why it is not recorded.
void ExpectFailure(const ProgramRun& run, const std::string& why) {
  EXPECT_TRUE(run.Succeeded()) << run.status();
  EXPECT_EQ(run.Output(), why + "\n");
  EXPECT_TRUE(run.SegmentFiles().empty());
}

TEST(Programs, AStartThatSucceedsSaysNothing) {
  const ProgramRun run({"start_failure"});
  EXPECT_TRUE(run.Succeeded()) << run.status();
  EXPECT_EQ(run.Output(), "");
  EXPECT_EQ(OfSize(run.Read(), 1009), (Totals{101, 101}));
}

TEST(Programs, AKernelThatCannotWipePagesOnForkIsAFailureToStart) {
  ExpectFailure(ProgramRun({"old_kernel", kWithoutWipeOnFork, CGOPROF_PROGRAMS "/start_failure"},
                           {"CGOPROF_PROFILE=start_failure"}),
                "kernel");
}

// What a process and those it starts may map, until the end of the scope.
class AddressSpaceLimit {
 public:
  explicit AddressSpaceLimit(rlim_t bytes) {
    getrlimit(RLIMIT_AS, &before_);
    const struct rlimit limit = {bytes, before_.rlim_max};
    EXPECT_EQ(setrlimit(RLIMIT_AS, &limit), 0);
  }
  ~AddressSpaceLimit() { setrlimit(RLIMIT_AS, &before_); }

 private:
  struct rlimit before_ = {};
};

TEST(Programs, TooLittleAddressSpaceIsAFailureToStart) {
  const AddressSpaceLimit limit(256 << 20);
  ExpectFailure(ProgramRun({"start_failure"}), "address-space");
  const ProgramRun sampled({"start_failure"}, {"CGOPROF_RATE=524288"});
  EXPECT_EQ(sampled.Output(), "") << "the segment of a sampled run fits";
  EXPECT_EQ(sampled.SegmentFiles().size(), 1u);
}

constexpr int kNoOverlay = 78;

// In a child with mounts of its own, because there may be no such file system here otherwise.
void ExpectFailureOnAnOverlay() {
  const TempDir place;
  for (const char* name : {"/lower", "/upper", "/work", "/merged"})
    ASSERT_TRUE(mkdir((place.path() + name).c_str(), 0700) == 0);
  const std::string merged = place.path() + "/merged";
  const std::string layers =
      "lowerdir=" + place.path() + "/lower,upperdir=" + place.path() + "/upper,workdir=" + place.path() + "/work";
  if (mount("none", merged.c_str(), "overlay", 0, layers.c_str()) != 0) _exit(kNoOverlay);
  ExpectFailure(ProgramRun({"start_failure"}, {"CGOPROF_DIR=" + merged}), "file-system");
  EXPECT_TRUE(std::filesystem::is_empty(merged));
  umount(merged.c_str());
}

TEST(Programs, AFileSystemThatCopiesOnWriteIsAFailureToStart) {
  const int status = InSmallSharedMemory(kSoonFull, &ExpectFailureOnAnOverlay);
  if (status == kNoNamespaces) GTEST_SKIP() << "namespaces cannot be made here";
  if (status == kNoOverlay) GTEST_SKIP() << "overlays cannot be mounted here";
  EXPECT_EQ(status, 0);
}

// ---- Which processes, and what becomes of the file ----

TEST(Programs, AProcessThatWasNotChosenLeavesNothing) {
  EXPECT_TRUE(ProgramRun({"alloc_family"}, {"CGOPROF_PROFILE=go"}).SegmentFiles().empty()) << "not a Go program";
  EXPECT_TRUE(ProgramRun({"alloc_family"}, {"CGOPROF_PROFILE=handoff"}).SegmentFiles().empty()) << "another name";
}

TEST(Programs, AProcessIsChosenByName) {
  EXPECT_EQ(ProgramRun({"alloc_family"}, {"CGOPROF_PROFILE=alloc_family"}).SegmentFiles().size(), 1u);
}

TEST(Programs, ANormalEndRemovesTheFileUnlessItIsKept) {
  const ProgramRun run({"alloc_family"}, {"CGOPROF_KEEP="});
  EXPECT_TRUE(run.Succeeded());
  EXPECT_TRUE(run.SegmentFiles().empty());
  const Segment kept = ProgramRun({"alloc_family"}).Read();
  EXPECT_EQ(kept.header.state, kStateExited);
}

TEST(Programs, ADirectoryThatCannotBeUsedChangesNothing) {
  const ProgramRun run({"conformance"}, {"CGOPROF_DIR=/proc/nonexistent"});
  EXPECT_TRUE(run.Succeeded());
  EXPECT_EQ(run.Output(), ProgramRun({"conformance"}, {}, false).Output());
}

TEST(Programs, TheRunIdAndRateAreInTheHeader) {
  const Segment segment = ProgramRun({"alloc_family"}, {"CGOPROF_RUN_ID=c0ffee"}).Read();
  EXPECT_EQ(segment.header.run_id, 0xc0ffeeu);
  EXPECT_EQ(segment.header.sample_rate, 1u);
  EXPECT_NE(segment.header.exe_path.find("/alloc_family"), std::string::npos);
}

}  // namespace
}  // namespace cgoprof
