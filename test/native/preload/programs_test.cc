// The library inside whole programs, one defect each: runs them in exact mode and reads the segment they leave.
#include <gtest/gtest.h>
#include <string.h>

#include <filesystem>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "program_run.h"

namespace cgoprof {
namespace {

TEST(Programs, EveryFunctionOfTheFamilyIsCountedExactly) {
  ProgramRun run({"alloc_family"});
  ASSERT_TRUE(run.Succeeded());
  const Segment segment = run.Read();
  ExpectNothingLost(segment);
  EXPECT_EQ(segment.header.counters[kTruncatedStacks], 0u);
  EXPECT_EQ(OfSize(segment, 1009), (Totals{3, 0}));
  EXPECT_EQ(OfSize(segment, 13 * 157), (Totals{5, 0}));
  EXPECT_EQ(OfSize(segment, 4099), (Totals{1, 0}));
  EXPECT_EQ(OfSize(segment, 17), (Totals{1, 1}));
  EXPECT_EQ(OfSize(segment, 8209), (Totals{1, 1}));
  EXPECT_EQ(OfSize(segment, 16419), (Totals{1, 1}));
  EXPECT_EQ(OfSize(segment, 32839), (Totals{1, 0}));
  for (uint64_t size : {65537, 131101, 262147, 524309, 1048583})
    EXPECT_EQ(OfSize(segment, size), (Totals{1, 0})) << size;
  EXPECT_EQ(OfSize(segment, 13), (Totals{1, 0}));
  EXPECT_EQ(OfSize(segment, 2097169), (Totals{1, 1}));
}

TEST(Programs, TheFamilyBehavesAsWithoutUs) {
  const ProgramRun bare({"conformance"}, {}, /*preload=*/false);
  const ProgramRun exact({"conformance"});
  const ProgramRun sampled({"conformance"}, {"CGOPROF_RATE=524288"});
  const ProgramRun dormant({"conformance"}, {"CGOPROF_PROFILE=go"});
  ASSERT_TRUE(bare.Succeeded());
  EXPECT_GT(bare.Output().size(), 10000u);
  EXPECT_EQ(exact.Output(), bare.Output());
  EXPECT_EQ(sampled.Output(), bare.Output());
  EXPECT_EQ(dormant.Output(), bare.Output());
}

struct Allocator {
  const char* name;
  const char* library;
  bool has_pvalloc;
};

class OtherAllocator : public testing::TestWithParam<Allocator> {};

TEST_P(OtherAllocator, TheFamilyBehavesAsWithoutUs) {
  const std::string library = std::string("/usr/lib/x86_64-linux-gnu/") + GetParam().library;
  if (!std::filesystem::exists(library)) GTEST_SKIP() << library << " is not installed";
  std::vector<std::string> command = {"conformance"};
  if (!GetParam().has_pvalloc) command.emplace_back("without pvalloc");
  const std::string both = "LD_PRELOAD=" CGOPROF_LIBRARY ":" + library;
  const ProgramRun bare(command, {"LD_PRELOAD=" + library}, /*preload=*/false);
  const ProgramRun exact(command, {both}, /*preload=*/false);
  const ProgramRun sampled(command, {both, "CGOPROF_RATE=524288"}, /*preload=*/false);
  ASSERT_TRUE(bare.Succeeded()) << bare.status();
  EXPECT_GT(bare.Output().size(), 10000u);
  EXPECT_NE(bare.Output(), ProgramRun(command, {}, /*preload=*/false).Output()) << "is it libc's after all?";
  EXPECT_EQ(exact.Output(), bare.Output());
  EXPECT_EQ(exact.SegmentFiles().size(), 1u);
  EXPECT_EQ(sampled.Output(), bare.Output());
}
INSTANTIATE_TEST_SUITE_P(Programs, OtherAllocator,
                         testing::Values(Allocator{"tcmalloc", "libtcmalloc_minimal.so.4", true},
                                         Allocator{"jemalloc", "libjemalloc.so.2", false},
                                         Allocator{"mimalloc", "libmimalloc.so.2", true}),
                         [](const auto& info) { return std::string(info.param.name); });

TEST(Programs, FreesByTheNamesOfC23AreFrees) {
  const ProgramRun run({"sized_free"});
  ASSERT_TRUE(run.Succeeded()) << run.status();
  const Segment segment = run.Read();
  ExpectNothingLost(segment);
  EXPECT_EQ(OfSize(segment, 2003), (Totals{1009 + 17, 1009}));
  EXPECT_EQ(OfSize(segment, 4001), (Totals{1009 + 17, 1009}));
}

TEST(Programs, BlocksFreedOnAnotherThreadAreNotInUse) {
  ProgramRun run({"handoff"});
  ASSERT_TRUE(run.Succeeded());
  const Segment segment = run.Read();
  ExpectNothingLost(segment);
  EXPECT_EQ(OfSize(segment, 1013), (Totals{20200, 20000}));
}

TEST(Programs, ChildrenLeaveTheParentsBooksAlone) {
  ProgramRun run({"fork_storm"});
  ASSERT_TRUE(run.Succeeded()) << run.status();
  const Segment segment = run.Read();
  ExpectNothingLost(segment);
  EXPECT_EQ(OfSize(segment, 10007), (Totals{50, 0})) << "the children freed their copies";
  EXPECT_EQ(OfSize(segment, 20011), (Totals{0, 0})) << "the children's own blocks";
  EXPECT_EQ(OfSize(segment, 509), (Totals{5, 0})) << "freed by children that no libc function made";
  EXPECT_EQ(OfSize(segment, 10009), (Totals{200, 200})) << "freed by children that share the parent's memory";
  EXPECT_EQ(OfSize(segment, 6007), (Totals{200, 100})) << "allocated by those, every other one freed by the parent";
  const Totals churn = OfSize(segment, 331);
  EXPECT_EQ(churn.allocs, churn.frees);
}

TEST(Programs, AFreeThatWentPastUsIsNoticed) {
  ProgramRun run({"missed_free"});
  ASSERT_TRUE(run.Succeeded());
  const Segment segment = run.Read();
  EXPECT_EQ(segment.header.counters[kMissedFrees], 1u);
  EXPECT_EQ(OfSize(segment, 5003), (Totals{2, 1}));
}

TEST(Programs, AFailedReallocKeepsItsRecord) {
  ProgramRun run({"realloc_fails"});
  ASSERT_TRUE(run.Succeeded());
  const Segment segment = run.Read();
  ExpectNothingLost(segment);
  EXPECT_EQ(OfSize(segment, 3001), (Totals{1, 0}));
  EXPECT_EQ(OfSize(segment, 6007), (Totals{1, 1}));
}

TEST(Programs, BlocksMayGrowOnOneThreadAndBeFreedOnAnother) {
  ProgramRun run({"realloc_race"});
  ASSERT_TRUE(run.Succeeded());
  const Segment segment = run.Read();
  ExpectNothingLost(segment);
  std::istringstream said(run.Output());
  size_t sizes = 0;
  for (uint64_t size, made; said >> size >> made; sizes++)
    EXPECT_EQ(OfSize(segment, size), (Totals{made, made})) << size;
  EXPECT_EQ(sizes, 6u);
}

TEST(Programs, AnotherAllocatorMayChooseItsFunctionsAtLoadTime) {
  const std::string libraries = "LD_PRELOAD=" CGOPROF_LIBRARY ":" CGOPROF_PROGRAMS "/ifunc_allocator.so";
  const ProgramRun run({"handoff"}, {libraries}, /*preload=*/false);
  ASSERT_TRUE(run.Succeeded()) << run.status();
  const Segment segment = run.Read();
  ExpectNothingLost(segment);
  EXPECT_EQ(OfSize(segment, 1013), (Totals{20200, 20000}));
  EXPECT_GE(std::stoi(run.Output()), 20200) << "blocks that the other allocator made";
}

using StackTotals = std::map<std::vector<uint64_t>, uint64_t>;

// Blocks of a size by stack.
StackTotals StacksOfSize(const Segment& segment, uint64_t size) {
  StackTotals totals;
  for (const SegmentBucket& bucket : segment.buckets) {
    if (bucket.alloc_bytes != bucket.allocs * size) continue;
    const auto leaf = segment.frame_pcs.begin() + bucket.first_frame;
    totals[std::vector<uint64_t>(leaf, leaf + bucket.depth)] += bucket.allocs;
  }
  return totals;
}

// That handlers' blocks of 797 bytes were allocated by handlers, and those of `size` by the same stacks as those of
// `quiet`, which nothing interrupted.
void ExpectStacksOf(const Segment& segment, uint64_t size, uint64_t quiet) {
  EXPECT_GE(StacksOfSize(segment, quiet).size(), 2u);
  EXPECT_TRUE(StacksOfSize(segment, size) == StacksOfSize(segment, quiet));
  const StackTotals handlers = StacksOfSize(segment, 797);
  ASSERT_FALSE(handlers.empty());
  const std::vector<uint64_t>& one = handlers.begin()->first;
  for (const auto& entry : handlers) {
    // The function that allocates, the handler, and what the kernel lets it return to.
    EXPECT_TRUE(std::equal(one.begin(), one.begin() + 3, entry.first.begin()));
  }
}

constexpr char kOverBumpAllocator[] = "LD_PRELOAD=" CGOPROF_LIBRARY ":" CGOPROF_PROGRAMS "/bump_allocator.so";

TEST(Programs, SignalHandlersMayAllocateAndFreeInsideTheRecorder) {
  const ProgramRun run({"signal_handler"}, {kOverBumpAllocator}, /*preload=*/false);
  ASSERT_TRUE(run.Succeeded()) << run.status();
  Totals by_handlers;
  uint64_t by_workers = 0;
  std::istringstream(run.Output()) >> by_handlers.allocs >> by_handlers.frees >> by_workers;
  const Segment segment = run.Read();
  ExpectNothingLost(segment);
  EXPECT_GE(by_workers, 3u * 1009 * 5);
  EXPECT_EQ(OfSize(segment, 599), (Totals{by_workers, by_workers}));
  EXPECT_EQ(OfSize(segment, 701), (Totals{by_workers, by_workers}));
  EXPECT_EQ(OfSize(segment, 797), by_handlers);
  ExpectStacksOf(segment, 701, 599);
}

TEST(Programs, SignalHandlersMayAllocateAndFreeAfterEveryInstructionOfTheRecorder) {
  const ProgramRun run({"single_step"}, {kOverBumpAllocator}, /*preload=*/false);
  ASSERT_TRUE(run.Succeeded()) << run.status();
  Totals by_handlers;
  std::istringstream(run.Output()) >> by_handlers.allocs >> by_handlers.frees;
  const Segment segment = run.Read();
  ExpectNothingLost(segment);
  constexpr uint64_t kBlocks = 3 * 2;
  EXPECT_EQ(OfSize(segment, 599), (Totals{kBlocks, kBlocks}));
  EXPECT_EQ(OfSize(segment, 701), (Totals{kBlocks, kBlocks}));
  EXPECT_EQ(OfSize(segment, 797), by_handlers);
  EXPECT_GE(by_handlers.allocs, kBlocks * 500);
  ExpectStacksOf(segment, 701, 599);
}

TEST(Programs, SignalsMayComeAllTheTime) {
  ProgramRun run({"signal_storm", CGOPROF_PROGRAMS "/unloadable.so"});
  ASSERT_TRUE(run.Succeeded()) << run.status();
  EXPECT_EQ(run.Output(), "");
  const Segment segment = run.Read();
  ExpectNothingLost(segment);
  constexpr uint64_t kWorkers = 4, kRounds = 20011, kKept = 199;
  EXPECT_EQ(OfSize(segment, 613), (Totals{kWorkers * kRounds, kWorkers * kRounds}));
  EXPECT_EQ(OfSize(segment, 617), (Totals{kWorkers * (kRounds - kKept), kWorkers * (kRounds - kKept)}));
  EXPECT_EQ(OfSize(segment, 1223), (Totals{kWorkers * kKept, 0}));
  EXPECT_EQ(OfSize(segment, 7001), (Totals{53, 0}));
}

TEST(Programs, HooksMayBeLeftWithoutReturning) {
  const std::string libraries = "LD_PRELOAD=" CGOPROF_LIBRARY ":" CGOPROF_PROGRAMS "/watched_allocator.so";
  const ProgramRun run({"leave_through_hooks"}, {libraries}, /*preload=*/false);
  ASSERT_TRUE(run.Succeeded()) << run.status();
  const Segment segment = run.Read();
  ExpectNothingLost(segment);
  EXPECT_EQ(OfSize(segment, 1013), (Totals{101, 0}));
  EXPECT_EQ(OfSize(segment, 2003), (Totals{2 * 101, 0})) << "of destructors at the end of threads";
  for (uint64_t size : {5021, 5023, 5039, 5051}) EXPECT_EQ(OfSize(segment, size), (Totals{0, 0})) << size;
}

TEST(Programs, NoThreadOfOursTakesASignal) {
  const ProgramRun run({"own_threads"});
  ASSERT_TRUE(run.Succeeded()) << run.status();
  EXPECT_EQ(OfSize(run.Read(), 101), (Totals{1009, 0}));
  EXPECT_EQ(run.Output(), "2 threads, signal pending\n");
}

TEST(Programs, ThreadsMayAskForTheirStacksBounds) {
  ProgramRun run({"thread_attributes"});
  ASSERT_TRUE(run.Succeeded()) << run.status();
  const Segment segment = run.Read();
  ExpectNothingLost(segment);
  EXPECT_EQ(OfSize(segment, 613), (Totals{5 * 503, 5 * 503}));
}

TEST(Programs, BlocksFromBeforeOurStartMayBeMovedAndFreedAfterOurEnd) {
  ProgramRun run({"early_and_late"});
  ASSERT_TRUE(run.Succeeded()) << run.status();
  const Segment segment = run.Read();
  ExpectNothingLost(segment);
  EXPECT_EQ(OfSize(segment, 1511), (Totals{0, 0})) << "before our start";
  EXPECT_EQ(OfSize(segment, 3011), (Totals{1, 1}));
}

// Depth of the deepest bucket of a size; 0 without one.
uint32_t DepthOf(const Segment& segment, uint64_t size, bool truncated) {
  uint32_t depth = 0;
  for (const SegmentBucket& bucket : segment.buckets) {
    if (bucket.alloc_bytes == bucket.allocs * size && bucket.truncated == truncated) {
      depth = std::max(depth, bucket.depth);
    }
  }
  return depth;
}

TEST(Programs, UnusualStacksAreWalked) {
  ProgramRun run({"stack_shapes"});
  ASSERT_TRUE(run.Succeeded());
  const Segment segment = run.Read();
  ExpectNothingLost(segment);
  EXPECT_EQ(OfSize(segment, 1511), (Totals{2, 0}));
  // deep x 41, main, and libc's and the program's start.
  EXPECT_EQ(DepthOf(segment, 1511, false), 45u);
  EXPECT_EQ(DepthOf(segment, 1511, true), kMaxStackDepth);
  EXPECT_EQ(OfSize(segment, 3011), (Totals{1, 0}));
  EXPECT_EQ(OfSize(segment, 6011), (Totals{1, 0}));
  EXPECT_GE(DepthOf(segment, 6011, false), 5u) << "from the signal stack back to main";
  EXPECT_EQ(OfSize(segment, 12007), (Totals{1, 0}));
}

TEST(Programs, GoroutinesThatCannotBeWalkedAreCounted) {
  const ProgramRun run({"lost_goroutine"});
  ASSERT_TRUE(run.Succeeded()) << run.status();
  constexpr uint64_t kLost = 9;
  const Segment segment = run.Read();
  EXPECT_EQ(OfSize(segment, 3011), (Totals{2, 0}));
  EXPECT_EQ(DepthOf(segment, 3011, false), 4u)
      << "C, asmcgocall, and the two frames of a goroutine that is as it should";
  EXPECT_EQ(OfSize(segment, 1511), (Totals{kLost, 0}));
  EXPECT_EQ(segment.header.counters[kGoBoundaryFailed], kLost);
  EXPECT_EQ(segment.header.counters[kTruncatedStacks], kLost);
  for (const SegmentBucket& bucket : segment.buckets)
    EXPECT_EQ(bucket.go_unreachable, bucket.size_class == SizeClass(1511));
}

TEST(Programs, ThreadsAreFollowedToTheirLastMoment) {
  ProgramRun run({"thread_exit"});
  ASSERT_TRUE(run.Succeeded());
  const Segment segment = run.Read();
  ExpectNothingLost(segment);
  EXPECT_EQ(OfSize(segment, 907), (Totals{101, 101}));
  EXPECT_EQ(OfSize(segment, 1709), (Totals{101, 101}));
  EXPECT_EQ(OfSize(segment, 2003), (Totals{101, 0}));
}

// The stacks of a size must be whole and begin in the library with that name.
void ExpectLeafIn(const Segment& segment, uint64_t size, const char* library) {
  for (const SegmentBucket& bucket : segment.buckets) {
    if (bucket.alloc_bytes != bucket.allocs * size) continue;
    EXPECT_FALSE(bucket.truncated);
    ASSERT_GE(bucket.depth, 2u);
    const uint16_t leaf = segment.frame_modules[bucket.first_frame];
    ASSERT_NE(leaf, 0);
    EXPECT_NE(segment.modules[leaf - 1u].path.find(library), std::string::npos);
  }
}

// Blocks and bytes that a library with such a name allocated.
std::pair<uint64_t, uint64_t> AllocatedIn(const Segment& segment, const char* library) {
  std::pair<uint64_t, uint64_t> sum;
  for (const SegmentBucket& bucket : segment.buckets) {
    const uint16_t leaf = segment.frame_modules[bucket.first_frame];
    if (leaf == 0 || segment.modules[leaf - 1u].path.find(library) == std::string::npos) continue;
    sum.first += bucket.allocs;
    sum.second += bucket.alloc_bytes;
  }
  return sum;
}

TEST(Programs, LibrariesMayComeAndGo) {
  ProgramRun run({"unload", CGOPROF_PROGRAMS "/unloadable.so", CGOPROF_PROGRAMS "/plugins/unloadable_twin.so"});
  ASSERT_TRUE(run.Succeeded()) << run.status();
  const Segment segment = run.Read();
  EXPECT_EQ(AllocatedIn(segment, "/unloadable.so"), (std::pair<uint64_t, uint64_t>{503, 503 * 7001}));
  EXPECT_EQ(AllocatedIn(segment, "/unloadable_twin.so"), (std::pair<uint64_t, uint64_t>{503, 503 * 7013}));
  const Totals churn = OfSize(segment, 331);
  EXPECT_GT(churn.allocs, 0u);
  EXPECT_EQ(churn.allocs, churn.frees);
}

TEST(Programs, LibrariesMayHaveThreadLocalStorage) {
  constexpr uint64_t kLibraries = 50, kThreads = 3;
  const TempDir copies;
  std::vector<std::string> command = {"tls_libraries"};
  for (uint64_t i = 0; i < kLibraries; i++) {
    command.push_back(copies.path() + "/" + std::to_string(i) + ".so");
    std::filesystem::copy_file(CGOPROF_PROGRAMS "/tls_library.so", command.back());
  }
  ProgramRun run(command);
  ASSERT_TRUE(run.Succeeded()) << run.status();
  const Segment segment = run.Read();
  ExpectNothingLost(segment);
  EXPECT_EQ(OfSize(segment, 4007), (Totals{kLibraries * kThreads, 0}));
}

TEST(Programs, ALibraryFindsAnotherByItsOwnSearchPath) {
  ProgramRun run({"bare_name", CGOPROF_PROGRAMS "/bare_name_opener.so"});
  ASSERT_TRUE(run.Succeeded()) << run.status();
  const Segment segment = run.Read();
  EXPECT_EQ(OfSize(segment, 7013), (Totals{17, 0}));
  ExpectLeafIn(segment, 7013, "unloadable_twin.so");
}

TEST(Programs, APluginThatBindsToLibcFirstIsNotSeenAndDoesNoHarm) {
  ProgramRun run({"deep_bind", CGOPROF_PROGRAMS "/deep_bound.so"});
  ASSERT_TRUE(run.Succeeded()) << run.status();
  const Segment segment = run.Read();
  EXPECT_EQ(OfSize(segment, 6529), (Totals{0, 0})) << "the plugin's own";
  // What it freed of ours is noticed where the address comes again.
  const uint64_t missed = segment.header.counters[kMissedFrees];
  EXPECT_GT(missed, 0u);
  EXPECT_EQ(OfSize(segment, 5003), (Totals{101, missed}));
  EXPECT_EQ(OfSize(segment, 5009), (Totals{101, 0}));
}

TEST(Programs, NamesOfOtherAllocatorsStayUndefined) {
  const ProgramRun run({"weak_names"});
  ASSERT_TRUE(run.Succeeded());
  EXPECT_EQ(run.Output(), ProgramRun({"weak_names"}, {}, /*preload=*/false).Output());
  EXPECT_NE(run.Output().find("mallocx: not there\n"), std::string::npos);
}

TEST(Programs, AHandlerThatJumpsOutDoesNotKeepLibrariesFromBeingFound) {
  ProgramRun run({"jump_out", CGOPROF_PROGRAMS "/unloadable.so"});
  ASSERT_TRUE(run.Succeeded()) << run.status();
  const Segment segment = run.Read();
  EXPECT_EQ(OfSize(segment, 7001), (Totals{1, 0}));
  ExpectLeafIn(segment, 7001, "unloadable.so");
}

TEST(Programs, FloatingPointTrapsAndFlagsAreTheProgramsOwn) {
  EXPECT_TRUE(ProgramRun({"float_traps"}, {"CGOPROF_RATE=1009"}).Succeeded());
}

}  // namespace
}  // namespace cgoprof
