// The library attached to whole programs that run already: what is in their segment from then on, and what is left of
// it when it is detached.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "program_run.h"

namespace cgoprof {
namespace {

// A program that loads the library by itself.
ProgramRun RunBare(std::vector<std::string> command, std::vector<std::string> extra = {}) {
  command.insert(command.begin() + 1, CGOPROF_LIBRARY);
  return ProgramRun(command, extra, /*preload=*/false);
}

void ExpectExact(const Segment& segment) {
  ExpectNothingLost(segment);
  EXPECT_EQ(OfSize(segment, 1009), (Totals{0, 0})) << "before";
  EXPECT_EQ(OfSize(segment, 1013), (Totals{103, 103})) << "what was in use when it was detached counts as freed";
  EXPECT_EQ(OfSize(segment, 2027), (Totals{1, 1}));
  EXPECT_EQ(OfSize(segment, 2029), (Totals{1, 1}));
  EXPECT_EQ(OfSize(segment, 1031), (Totals{0, 0})) << "while it was paused";
  EXPECT_EQ(OfSize(segment, 1019), (Totals{0, 0})) << "while it was detached";
  EXPECT_EQ(OfSize(segment, 1021), (Totals{109, 13}));
  EXPECT_EQ(segment.header.counters[kUnknownFrees], 50u + 1 + 7 + 3);
  EXPECT_EQ(segment.header.attachments, 2u);
  EXPECT_EQ(segment.header.wish, kWishRecord);
  EXPECT_EQ(segment.header.state, kStateRunning);
  EXPECT_GE(segment.header.attached_unix_ns, segment.header.created_unix_ns);
}

TEST(Attach, EveryBlockIsCountedFromThenOn) {
  const ProgramRun run = RunBare({"attach_exact"});
  ASSERT_TRUE(run.Succeeded()) << run.status() << run.Output();
  const Segment segment = run.Read();
  ExpectExact(segment);
  EXPECT_EQ(std::to_string(segment.header.before_attach_bytes) + "\n", run.Output());
}

class AttachUnder : public testing::TestWithParam<const char*> {};

TEST_P(AttachUnder, EveryBlockIsCountedFromThenOn) {
  const std::string library = std::string("/usr/lib/x86_64-linux-gnu/") + GetParam();
  if (!std::filesystem::exists(library)) GTEST_SKIP() << library << " is not installed";
  const ProgramRun run = RunBare({"attach_exact"}, {"LD_PRELOAD=" + library});
  ASSERT_TRUE(run.Succeeded()) << run.status() << run.Output();
  ExpectExact(run.Read());
}

// C++'s operators are the allocator's own there, and come to nothing of malloc's family.
TEST_P(AttachUnder, OperatorsAreCountedFromThenOn) {
  const std::string library = std::string("/usr/lib/x86_64-linux-gnu/") + GetParam();
  if (!std::filesystem::exists(library)) GTEST_SKIP() << library << " is not installed";
  const ProgramRun run = RunBare({"attach_operators"}, {"LD_PRELOAD=" + library});
  ASSERT_TRUE(run.Succeeded()) << run.status() << run.Output();
  const Segment segment = run.Read();
  ExpectNothingLost(segment);
  EXPECT_EQ(OfSize(segment, 1009), (Totals{0, 0}));
  EXPECT_EQ(OfSize(segment, 1013), (Totals{101, 11}));
  EXPECT_EQ(OfSize(segment, 1019), (Totals{53, 0}));
  EXPECT_EQ(segment.header.counters[kUnknownFrees], 7u);
}
INSTANTIATE_TEST_SUITE_P(Allocators, AttachUnder,
                         testing::Values("libtcmalloc_minimal.so.4", "libjemalloc.so.2", "libmimalloc.so.2"),
                         [](const auto& info) {
                           const std::string name = info.param;
                           return name.substr(3, name.find_first_of("_.") - 3);
                         });

TEST(Attach, WhatIsAskedAtTheWrongTimeIsAnsweredInAWord) {
  const ProgramRun run = RunBare({"attach_answers"});
  ASSERT_TRUE(run.Succeeded()) << run.status();
  EXPECT_EQ(run.Output(),
            "detach: not-attached\n"
            "another version: version\n"
            "cancelled: cancelled\n"
            "no directory: directory\n"
            "once: done, places changed\n"
            "twice: recording\n"
            "any rate: recording\n"
            "another rate: rate\n"
            "detach: done, places changed\n"
            "detach twice: not-attached\n"
            "again at another rate: rate\n"
            "while another acts: busy\n");
  EXPECT_EQ(run.Read().header.sample_rate, 4999u);
}

TEST(Attach, ChildrenThatAreForkedMeanwhileAreWhole) {
  for (int round = 0; round < 5; ++round) {
    const ProgramRun run = RunBare({"attach_fork_during"});
    ASSERT_TRUE(run.Succeeded()) << run.status() << run.Output();
  }
}

TEST(Attach, MayBeUndoneOnceThatIsPossible) {
  const ProgramRun run = RunBare({"attach_undone_late"});
  ASSERT_TRUE(run.Succeeded()) << run.status() << run.Output();
  EXPECT_EQ(run.Output(), "without a descriptor: relocations\nhooks: 1, then 0\n");
  EXPECT_EQ(run.Read().header.counters[kUnknownFrees], 1u);
}

TEST(Attach, OfTwoCopiesTheFirstActs) {
  const ProgramRun run = RunBare({"attach_two_copies"});
  ASSERT_TRUE(run.Succeeded()) << run.status() << run.Output();
  const Segment segment = run.Read();
  EXPECT_EQ(OfSize(segment, 1033), (Totals{17, 0}));
  EXPECT_EQ(OfSize(segment, 1039), (Totals{0, 0})) << "after it was detached";
  EXPECT_EQ(segment.header.state, kStatePaused);
}

TEST(Attach, APreloadedLibraryIsNotAttachedAsWell) {
  const ProgramRun run({"attach_answers", CGOPROF_LIBRARY, "preloaded"});
  EXPECT_TRUE(run.Succeeded()) << run.status();
  EXPECT_EQ(run.Output(), "once: preloaded\n");
}

TEST(Attach, AMallocOfTheProgramsOwnIsRefused) {
  const ProgramRun run = RunBare({"own_malloc"});
  EXPECT_TRUE(run.Succeeded()) << run.status();
  EXPECT_EQ(run.Output(), "own-malloc\n");
  EXPECT_TRUE(run.SegmentFiles().empty());
}

TEST(Attach, LibrariesMayComeAndGoAroundIt) {
  const ProgramRun run =
      RunBare({"attach_libraries", CGOPROF_PROGRAMS "/unloadable.so", CGOPROF_PROGRAMS "/late_library.so",
               CGOPROF_PROGRAMS "/deep_bound.so", CGOPROF_PROGRAMS "/plugins/unloadable_twin.so"});
  ASSERT_TRUE(run.Succeeded()) << run.status() << run.Output();
  EXPECT_EQ(run.Output(), "1 0\n") << "who asks after it was detached finds libc's; what nobody defines stays so";
  const Segment segment = run.Read();
  ExpectNothingLost(segment);
  EXPECT_EQ(OfSize(segment, 7001), (Totals{17 + 2, 17})) << "loaded before";
  EXPECT_EQ(OfSize(segment, 8009), (Totals{1, 1})) << "by a constructor";
  EXPECT_EQ(OfSize(segment, 8011), (Totals{19 + 2, 19})) << "loaded afterwards";
  EXPECT_EQ(OfSize(segment, 6529), (Totals{23 + 5 + 2, 23 + 5})) << "bound to libc first";
  EXPECT_EQ(OfSize(segment, 3001), (Totals{2 + 1, 2})) << "through a stored pointer";
}

// What a library's file may come to have in it, and when.
struct Overwritten {
  const char* name;
  std::string contents;  // of this file; empty: bytes of every value
  const char* when;
};

class AttachOverwritten : public testing::TestWithParam<Overwritten> {};

TEST_P(AttachOverwritten, ALibraryThatNobodyUsesMeanwhileIsReadWithCare) {
  const std::string plugin = std::string(CGOPROF_PROGRAMS "/overwritten_") + GetParam().name + ".so";
  std::filesystem::copy_file(CGOPROF_PROGRAMS "/deep_bound.so", plugin,
                             std::filesystem::copy_options::overwrite_existing);
  const TempDir place;
  std::string contents = GetParam().contents;
  if (contents.empty()) {
    contents = place.path() + "/contents";
    std::ofstream file(contents, std::ios::binary);
    for (uint32_t i = 0, random = 1; i < std::filesystem::file_size(plugin); ++i) {
      file.put(static_cast<char>(random >> 24));
      random = random * 1664525 + 1013904223;
    }
  }
  const ProgramRun run = RunBare({"attach_overwritten", plugin, contents, GetParam().when});
  std::filesystem::remove(plugin);
  ASSERT_TRUE(run.Succeeded()) << run.status() << run.Output();
  const Segment segment = run.Read();
  ExpectNothingLost(segment);
  EXPECT_EQ(OfSize(segment, 1013), (Totals{101, 101}));
  EXPECT_EQ(OfSize(segment, 1019), (Totals{53, 0}));
}
INSTANTIATE_TEST_SUITE_P(
    Files, AttachOverwritten,
    testing::Values(Overwritten{"cut_short_before", "/dev/null", "before"},
                    Overwritten{"cut_short_between", "/dev/null", "between"},
                    Overwritten{"another_library_before", CGOPROF_PROGRAMS "/unloadable.so", "before"},
                    Overwritten{"another_library_between", CGOPROF_PROGRAMS "/unloadable.so", "between"},
                    Overwritten{"a_large_library_before", CGOPROF_LIBRARY, "before"},
                    Overwritten{"any_bytes_before", "", "before"}, Overwritten{"any_bytes_between", "", "between"}),
    [](const auto& info) { return std::string(info.param.name); });

TEST(Attach, ChildProcessesAreTheirOwn) {
  const ProgramRun run = RunBare({"attach_fork"});
  ASSERT_TRUE(run.Succeeded()) << run.status() << run.Output();
  const std::vector<std::string> files = run.SegmentFiles();
  ASSERT_EQ(files.size(), 2u);
  bool seen_parent = false, seen_child = false;
  for (const std::string& file : files) {
    const Segment segment = ReadSegment(file.c_str()).segment;
    ExpectNothingLost(segment);
    EXPECT_EQ(segment.header.state, kStatePaused);
    EXPECT_EQ(segment.header.wish, kWishPause);
    if (OfSize(segment, 2003) == Totals{101, 0}) {
      seen_parent = true;
      EXPECT_EQ(OfSize(segment, 3001), (Totals{0, 0}));
      EXPECT_EQ(OfSize(segment, 3011), (Totals{0, 0}));
      EXPECT_EQ(OfSize(segment, 3019), (Totals{103, 0}));
      EXPECT_EQ(segment.header.counters[kUnknownFrees], 0u);
    } else {
      seen_child = true;
      EXPECT_EQ(OfSize(segment, 3011), (Totals{103, 7}));
      EXPECT_EQ(segment.header.counters[kUnknownFrees], 101u + 1) << "the parent's, and one from before";
    }
  }
  EXPECT_TRUE(seen_parent && seen_child);
}

void ExpectExactAfterRounds(const ProgramRun& run) {
  ASSERT_TRUE(run.Succeeded()) << run.status() << run.Output();
  const Segment segment = run.Read();
  EXPECT_EQ(segment.header.attachments, 101u);
  EXPECT_EQ(OfSize(segment, 5003), (Totals{1009, 503}));
  for (const SegmentBucket& bucket : segment.buckets) EXPECT_LE(bucket.frees, bucket.allocs);
}

TEST(Attach, HundredRoundsHarmNoThreadThatLoadsLibraries) {
  ExpectExactAfterRounds(RunBare({"attach_rounds", CGOPROF_PROGRAMS "/unloadable.so"}));
}

TEST(Attach, HundredRoundsHarmNoThreadThatForks) { ExpectExactAfterRounds(RunBare({"attach_rounds"})); }

// ---- Without a thread of the tool's ----

TEST(Wish, PausesAndGoesOn) {
  const TempDir place;
  const ProgramRun run({"wishes", place.path(), "record"}, {"CGOPROF_DIR=" + place.path()});
  ASSERT_TRUE(run.Succeeded()) << run.status();
  const std::vector<std::string> files = place.Files();
  ASSERT_EQ(files.size(), 1u);
  const Segment segment = ReadSegment(files[0].c_str()).segment;
  ExpectNothingLost(segment);
  EXPECT_EQ(OfSize(segment, 1009), (Totals{101, 0}));
  EXPECT_EQ(OfSize(segment, 1013), (Totals{0, 0})) << "paused";
  EXPECT_EQ(OfSize(segment, 1019), (Totals{0, 0}));
  EXPECT_EQ(OfSize(segment, 1021), (Totals{101, 11}));
  EXPECT_EQ(segment.header.attachments, 0u);
  EXPECT_EQ(segment.header.counters[kUnknownFrees], 0u);
}

TEST(Request, StartsARecorderThatWasNotChosen) {
  const TempDir place;
  const ProgramRun run({"wishes", place.path(), "request"}, {"CGOPROF_DIR=" + place.path(), "CGOPROF_PROFILE=go"});
  ASSERT_TRUE(run.Succeeded()) << run.status();
  const std::vector<std::string> files = place.Files();
  ASSERT_EQ(files.size(), 1u) << "the segment; the request was taken away";
  const Segment segment = ReadSegment(files[0].c_str()).segment;
  ExpectNothingLost(segment);
  EXPECT_EQ(OfSize(segment, 1009), (Totals{0, 0})) << "before";
  EXPECT_EQ(OfSize(segment, 1013), (Totals{101, 11}));
  EXPECT_EQ(segment.header.sample_rate, 1u);
  EXPECT_EQ(segment.header.attachments, 1u);
  EXPECT_EQ(segment.header.counters[kUnknownFrees], 17u);
  EXPECT_EQ(segment.header.before_attach_bytes, kUnknownBytes) << "nobody was asked, in the middle of an allocation";
}

TEST(Request, IsAnsweredInAWordWhereTheAllocatorHasOperatorsOfItsOwn) {
  const std::string library = "/usr/lib/x86_64-linux-gnu/libtcmalloc_minimal.so.4";
  if (!std::filesystem::exists(library)) GTEST_SKIP() << library << " is not installed";
  const TempDir place;
  const std::string both = "LD_PRELOAD=" CGOPROF_LIBRARY ":" + library;
  const ProgramRun run({"wishes", place.path(), "refusal"}, {both, "CGOPROF_DIR=" + place.path(), "CGOPROF_PROFILE=go"},
                       /*preload=*/false);
  EXPECT_TRUE(run.Succeeded()) << run.status();
  EXPECT_EQ(run.Output(), "dormant-allocator\n");
  EXPECT_TRUE(place.Files().empty());
}

// ---- Pages ----

class AttachPages : public testing::TestWithParam<const char*> {};

TEST_P(AttachPages, StayAsTheyAreHoweverTheProgramIsLinked) {
  const ProgramRun run = RunBare({GetParam()});
  ASSERT_TRUE(run.Succeeded()) << run.status() << run.Output();
  const Segment segment = run.Read();
  ExpectNothingLost(segment);
  EXPECT_EQ(OfSize(segment, 1013), (Totals{101, 11}));
  EXPECT_EQ(OfSize(segment, 1019), (Totals{53, 0}));
}
INSTANTIATE_TEST_SUITE_P(Programs, AttachPages, testing::ValuesIn(std::vector<const char*>{CGOPROF_ATTACH_PAGES}),
                         [](const auto& info) { return std::string(info.param).substr(sizeof("attach_pages")); });

// ---- The code that loads the library ----

TEST(AttachLoad, LeavesTheLibraryBehindAndNothingElse) {
  const ProgramRun run = RunBare({"attach_load", "/proc/self/fd/%d"});
  ASSERT_TRUE(run.Succeeded()) << run.status() << run.Output();
  EXPECT_EQ(run.Output(), "done\narea 0, code 0, open 0, mapped 1\n");
  EXPECT_EQ(OfSize(run.Read(), 1013), (Totals{101, 0}));
}

TEST(AttachLoad, LeavesNothingBehindWhereItFails) {
  const ProgramRun run = RunBare({"attach_load", "/proc/self/fd/%d/nowhere"});
  ASSERT_TRUE(run.Succeeded()) << run.status() << run.Output();
  const std::string output = run.Output();
  EXPECT_EQ(output.rfind("loader: /proc/self/fd/", 0), 0u) << output;
  EXPECT_NE(output.find("cannot open shared object file"), std::string::npos) << output;
  EXPECT_NE(output.find("\narea 0, code 0, open 0, mapped 0\n"), std::string::npos) << output;
  EXPECT_TRUE(run.SegmentFiles().empty());
}

}  // namespace
}  // namespace cgoprof
