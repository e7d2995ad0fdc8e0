// What a segment says is handed back exactly, and what it cannot mean is refused or cut down.
#include "addon/segment_reader.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdint>
#include <fstream>
#include <limits>
#include <string>

#include "segment_builder.h"
#include "temp_file.h"

namespace cgoprof {
namespace {

constexpr uint64_t kBlock = 7919;  // bytes of every block in these segments
constexpr uint64_t kHuge = std::numeric_limits<uint64_t>::max();

SegmentReadResult ReadBytes(const std::string& file) {
  const TempFile temp(file);
  return ReadSegment(temp.path());
}

Segment ReadGood(const std::string& file) {
  SegmentReadResult result = ReadBytes(file);
  EXPECT_EQ(result.error.code, "") << result.error.message;
  return result.segment;
}

Bucket PublishedBucket(uint32_t stack, uint16_t depth) {
  Bucket bucket = {};
  bucket.stack = stack;
  bucket.depth = depth;
  bucket.kind = kBucketHeap;
  bucket.size_class = SizeClass(kBlock);
  bucket.published = 1;
  bucket.allocs = {3, 3 * kBlock};
  bucket.frees = {2, 2 * kBlock};
  return bucket;
}

// One of everything: a module, a stack of three frames, a bucket, live entries in every state.
SegmentBuilder SmallSegment() {
  SegmentBuilder builder;
  Module module = {};
  module.image_start = 0x7f0000001000;
  module.image_end = 0x7f0000009000;
  module.bias = 0x7f0000000000;
  module.text_start = 0x7f0000002000;
  module.text_end = 0x7f0000005000;
  module.text_offset = 0x2000;
  module.flags = kModuleExecutable | kModuleGo;
  builder.SetExePath("/srv/server");
  builder.AddModule(module, "/srv/server", "\x01\xAB\xEF");
  const uint32_t stack = builder.AddStack({MakeFrame(1, 0x7f0000002003), MakeFrame(1, 0x7f0000002005), 0x11});
  builder.AddBucket(PublishedBucket(stack, 3));
  for (const uint64_t address : {kLiveFree, kLiveClaimed, uint64_t{0x5000}, uint64_t{0x6000}}) {
    LiveEntry entry = {};
    entry.address = address;
    builder.AddLive(entry);
  }
  return builder;
}

TEST(SegmentReader, HandsBackTheHeader) {
  SegmentBuilder builder = SmallSegment();
  builder.header.state = kStatePaused;
  builder.header.pid = 4241;
  builder.header.uid = 1009;
  builder.header.start_time_ticks = 104729;
  builder.header.created_unix_ns = 1700000000000000001;
  builder.header.run_id = 0xbeef;
  builder.header.sample_rate = 65537;
  for (int i = 0; i < 16; ++i) builder.header.boot_id[i] = static_cast<uint8_t>(i * 16 + i);
  builder.header.wish = kWishPause;
  builder.header.attachments = 3;
  builder.header.attached_unix_ns = 1700000000000000003;
  builder.header.before_attach_bytes = 1299709;
  for (uint32_t id = 0; id < kCounterCount; ++id) builder.header.counters[id] = 101 + id;

  const TempFile file(builder.Build());
  const SegmentHeaderReadResult alone = ReadSegmentHeader(file.path());
  ASSERT_EQ(alone.error.code, "");
  for (const SegmentHeader& header : {alone.header, ReadSegment(file.path()).segment.header}) {
    EXPECT_EQ(header.abi_major, kAbiMajor);
    EXPECT_EQ(header.abi_minor, kAbiMinor);
    EXPECT_EQ(header.state, kStatePaused);
    EXPECT_EQ(header.pid, 4241u);
    EXPECT_EQ(header.uid, 1009u);
    EXPECT_EQ(header.start_time_ticks, 104729u);
    EXPECT_EQ(header.created_unix_ns, 1700000000000000001u);
    EXPECT_EQ(header.run_id, 0xbeefu);
    EXPECT_EQ(header.sample_rate, 65537u);
    EXPECT_EQ(header.boot_id, "00112233445566778899aabbccddeeff");
    EXPECT_EQ(header.exe_path, "/srv/server");
    EXPECT_EQ(header.wish, kWishPause);
    EXPECT_EQ(header.attachments, 3u);
    EXPECT_EQ(header.attached_unix_ns, 1700000000000000003u);
    EXPECT_EQ(header.before_attach_bytes, 1299709u);
    for (uint32_t id = 0; id < kCounterCount; ++id) EXPECT_EQ(header.counters[id], 101 + id);
    EXPECT_EQ(header.samples, 3u);
    EXPECT_EQ(header.live_samples, 2u);
    // One page each: header, strings, both heads, buckets, stacks, live entries; 56 whole modules fit in one more.
    EXPECT_EQ(header.committed_bytes, 7 * kSegmentPage + 56 * sizeof(Module));
  }
}

TEST(SegmentReader, HandsBackModulesAndBuckets) {
  const Segment segment = ReadGood(SmallSegment().Build());
  ASSERT_EQ(segment.modules.size(), 1u);
  const SegmentModule& module = segment.modules[0];
  EXPECT_EQ(module.id, 1u);
  EXPECT_EQ(module.path, "/srv/server");
  EXPECT_EQ(module.build_id, "01abef");
  EXPECT_EQ(module.image_start, 0x7f0000001000u);
  EXPECT_EQ(module.image_end, 0x7f0000009000u);
  EXPECT_EQ(module.bias, 0x7f0000000000u);
  EXPECT_EQ(module.text_start, 0x7f0000002000u);
  EXPECT_EQ(module.text_end, 0x7f0000005000u);
  EXPECT_EQ(module.text_offset, 0x2000u);
  EXPECT_EQ(module.flags, kModuleExecutable | kModuleGo);

  ASSERT_EQ(segment.buckets.size(), 1u);
  const SegmentBucket& bucket = segment.buckets[0];
  EXPECT_EQ(bucket.kind, kBucketHeap);
  EXPECT_EQ(bucket.size_class, SizeClass(kBlock));
  EXPECT_EQ(bucket.allocs, 3u);
  EXPECT_EQ(bucket.frees, 2u);
  EXPECT_EQ(bucket.alloc_bytes, 3 * kBlock);
  EXPECT_EQ(bucket.free_bytes, 2 * kBlock);
  EXPECT_FALSE(bucket.torn);
  EXPECT_FALSE(bucket.truncated);
  EXPECT_FALSE(bucket.go_unreachable);
  EXPECT_EQ(bucket.first_frame, 0u);
  EXPECT_EQ(bucket.depth, 3u);
  EXPECT_EQ(segment.frame_pcs, (std::vector<uint64_t>{0x7f0000002003, 0x7f0000002005, 0x11}));
  EXPECT_EQ(segment.frame_modules, (std::vector<uint16_t>{1, 1, 0}));
}

TEST(SegmentReader, AnEmptySegmentHasNothing) {
  const Segment segment = ReadGood(SegmentBuilder().Build());
  EXPECT_TRUE(segment.modules.empty());
  EXPECT_TRUE(segment.buckets.empty());
  EXPECT_EQ(segment.header.exe_path, "");
  EXPECT_EQ(segment.header.live_samples, 0u);
}

TEST(SegmentReader, ReadsMoreBucketsThanOneChunkHolds) {
  constexpr uint32_t kBucketsAdded = 10007;
  SegmentBuilder builder = SmallSegment();
  for (uint32_t i = 1; i < kBucketsAdded; ++i) {
    Bucket bucket = PublishedBucket(0, 1);
    bucket.allocs.blocks = i;
    builder.AddBucket(bucket);
  }
  const Segment segment = ReadGood(builder.Build());
  ASSERT_EQ(segment.buckets.size(), kBucketsAdded);
  for (uint32_t i = 1; i < kBucketsAdded; ++i) ASSERT_EQ(segment.buckets[i].allocs, i);
}

TEST(SegmentReader, BucketsThatPointAtOneStackShareIt) {
  SegmentBuilder builder;
  builder.AddStack(std::vector<uint64_t>(211, MakeFrame(0, 0x1000)));
  builder.AddBucket(PublishedBucket(101, 7));
  builder.AddBucket(PublishedBucket(3, 5));
  builder.AddBucket(PublishedBucket(101, 7));
  builder.AddBucket(PublishedBucket(101, 6));
  // Cut down to the same.
  builder.AddBucket(PublishedBucket(208, 4));
  builder.AddBucket(PublishedBucket(208, 5));
  const Segment segment = ReadGood(builder.Build());
  EXPECT_EQ(segment.stacks, (std::vector<SegmentStack>{{3, 5}, {101, 6}, {101, 7}, {208, 3}}));
  std::vector<uint32_t> stacks;
  for (const SegmentBucket& bucket : segment.buckets) stacks.push_back(bucket.stack);
  EXPECT_EQ(stacks, (std::vector<uint32_t>{2, 0, 2, 1, 3, 3}));
}

TEST(SegmentReader, StepsOverWhatANewerMinorAdded) {
  SegmentBuilder builder = SmallSegment();
  builder.AddBucket(PublishedBucket(1, 2));
  builder.header.abi_minor = 7;
  builder.header.region_count = 16;
  builder.header.counter_count = 32;
  for (const RegionId id : {kModules, kBuckets, kStacks, kLiveEntries}) builder.strides[id] += 24;
  const Segment segment = ReadGood(builder.Build());
  EXPECT_EQ(segment.header.abi_minor, 7);
  EXPECT_EQ(segment.header.live_samples, 2u);
  ASSERT_EQ(segment.modules.size(), 1u);
  EXPECT_EQ(segment.modules[0].path, "/srv/server");
  ASSERT_EQ(segment.buckets.size(), 2u);
  EXPECT_EQ(segment.buckets[1].first_frame, 1u);
  EXPECT_EQ(segment.buckets[1].alloc_bytes, 3 * kBlock);
  EXPECT_EQ(segment.frame_pcs, (std::vector<uint64_t>{0x7f0000002003, 0x7f0000002005, 0x11}));
}

TEST(SegmentReader, TakesCountersThatAnOlderWriterDoesNotHaveForZero) {
  SegmentBuilder builder = SmallSegment();
  for (uint64_t& counter : builder.header.counters) counter = 5;
  builder.header.counter_count = kCounterCount - 1;
  const Segment segment = ReadGood(builder.Build());
  EXPECT_EQ(segment.header.counters[kCounterCount - 2], 5u);
  EXPECT_EQ(segment.header.counters[kCounterCount - 1], 0u);
}

TEST(SegmentReader, AWriterBeforeMinor1WasNeverAttachedAndHasNoWishes) {
  SegmentBuilder builder = SmallSegment();
  builder.header.abi_minor = 0;
  builder.header.counter_count = kUnknownFrees;
  builder.header.wish = kWishPause;  // what is not yet declared means nothing
  builder.header.attachments = 3;
  builder.header.attached_unix_ns = builder.header.before_attach_bytes = builder.header.counters[kUnknownFrees] = 5;
  const SegmentHeader header = ReadGood(builder.Build()).header;
  EXPECT_EQ(header.wish, kWishRecord);
  EXPECT_EQ(header.attachments, 0u);
  EXPECT_EQ(header.attached_unix_ns, 0u);
  EXPECT_EQ(header.before_attach_bytes, 0u);
  EXPECT_EQ(header.counters[kUnknownFrees], 0u);
}

TEST(SegmentReader, AWishThatIsNoneIsNoPause) {
  SegmentBuilder builder = SmallSegment();
  builder.header.wish = 7;
  EXPECT_EQ(ReadGood(builder.Build()).header.wish, kWishRecord);
}

// ---- Refused ---------------------------------------------------------------------------------------------------

struct Refusal {
  const char* name;
  void (*damage)(std::string* file);
  const char* code;
  const char* message;
};

const Refusal kRefusals[] = {
    {"Empty", [](std::string* f) { f->clear(); }, "NOT_A_SEGMENT", "not a cgoprof segment"},
    {"HalfTheMagic", [](std::string* f) { f->resize(5); }, "NOT_A_SEGMENT", "not a cgoprof segment"},
    {"Garbage", [](std::string* f) { f->assign(9973, '\xA5'); }, "NOT_A_SEGMENT", "not a cgoprof segment"},
    {"OnlyTheMagic", [](std::string* f) { f->resize(9); }, "SEGMENT_DAMAGED", "it ends inside its header"},
    {"TruncatedHeader", [](std::string* f) { f->resize(101); }, "SEGMENT_DAMAGED", "it ends inside its header"},
    {"OtherMajor",
     [](std::string* f) {
       HeaderOf(f)->abi_major = 1;
       HeaderOf(f)->abi_minor = 0;
     },
     "SEGMENT_VERSION", "segment version 1.0, this build reads version 2"},
    {"OtherMajorWithAShorterHeader",
     [](std::string* f) {
       HeaderOf(f)->abi_major = 0;
       HeaderOf(f)->abi_minor = 3;
       f->resize(16);
     },
     "SEGMENT_VERSION", "segment version 0.3, this build reads version 2"},
    {"Starting",
     [](std::string* f) {
       HeaderOf(f)->state = kStateStarting;
       HeaderOf(f)->region_count = 0;
     },
     "SEGMENT_STARTING", "its process has not finished setting it up"},
    {"UnknownState", [](std::string* f) { HeaderOf(f)->state = 9; }, "SEGMENT_DAMAGED", "unknown state 9"},
    {"TruncatedFile", [](std::string* f) { f->pop_back(); }, "SEGMENT_DAMAGED", "bytes"},
    {"FileBytesPastTheEnd", [](std::string* f) { HeaderOf(f)->file_bytes = kHuge; }, "SEGMENT_DAMAGED", "of its"},
    {"ShortHeader", [](std::string* f) { HeaderOf(f)->header_bytes = 64; }, "SEGMENT_DAMAGED", "header of 64 bytes"},
    {"HeaderPastTheEnd", [](std::string* f) { HeaderOf(f)->header_bytes = 1 << 30; }, "SEGMENT_DAMAGED", "header of"},
    {"TooFewRegions", [](std::string* f) { HeaderOf(f)->region_count = 6; }, "SEGMENT_DAMAGED", "6 regions"},
    {"TooManyRegions", [](std::string* f) { HeaderOf(f)->region_count = 17; }, "SEGMENT_DAMAGED", "17 regions"},
    {"TooManyCounters", [](std::string* f) { HeaderOf(f)->counter_count = 33; }, "SEGMENT_DAMAGED", "33 counters"},
    {"RateZero", [](std::string* f) { HeaderOf(f)->sample_rate = 0; }, "SEGMENT_DAMAGED", "a sample rate of 0"},
    {"StrideZero", [](std::string* f) { HeaderOf(f)->regions[kBuckets].stride = 0; }, "SEGMENT_DAMAGED",
     "region buckets has records of 0 bytes"},
    {"StrideTooSmall", [](std::string* f) { HeaderOf(f)->regions[kModules].stride = 71; }, "SEGMENT_DAMAGED",
     "region modules has records of 71 bytes"},
    {"StrideTooLarge", [](std::string* f) { HeaderOf(f)->regions[kStacks].stride = kMaxStride + 1; }, "SEGMENT_DAMAGED",
     "region stacks has records of 4097 bytes"},
    {"StringsThatAreNotBytes", [](std::string* f) { HeaderOf(f)->regions[kStrings].stride = 2; }, "SEGMENT_DAMAGED",
     "region strings has records of 2 bytes"},
    {"RegionInsideTheHeader", [](std::string* f) { HeaderOf(f)->regions[kBucketHeads].offset = 16; }, "SEGMENT_DAMAGED",
     "region bucket heads does not lie within the file"},
    {"RegionPastTheEnd", [](std::string* f) { HeaderOf(f)->regions[kLiveEntries].offset = f->size() + 4096; },
     "SEGMENT_DAMAGED", "region live entries does not lie within the file"},
    {"RegionOffsetOverflows", [](std::string* f) { HeaderOf(f)->regions[kStacks].offset = kHuge - 7; },
     "SEGMENT_DAMAGED", "region stacks does not lie within the file"},
    {"RegionEndPastTheEnd", [](std::string* f) { ++HeaderOf(f)->regions[kLiveEntries].capacity; }, "SEGMENT_DAMAGED",
     "region live entries does not lie within the file"},
    {"RegionLengthOverflows", [](std::string* f) { HeaderOf(f)->regions[kLiveHeads].capacity = kHuge / 4 + 2; },
     "SEGMENT_DAMAGED", "region live heads does not lie within the file"},
};

class SegmentReaderRefusal : public testing::TestWithParam<Refusal> {};

TEST_P(SegmentReaderRefusal, TellsWhy) {
  std::string bytes = SmallSegment().Build();
  GetParam().damage(&bytes);
  const TempFile file(bytes);
  for (const NativeError& error : {ReadSegment(file.path()).error, ReadSegmentHeader(file.path()).error}) {
    EXPECT_EQ(error.code, GetParam().code);
    EXPECT_NE(error.message.find(GetParam().message), std::string::npos) << error.message;
  }
}

INSTANTIATE_TEST_SUITE_P(Damages, SegmentReaderRefusal, testing::ValuesIn(kRefusals),
                         [](const auto& info) { return std::string(info.param.name); });

// What is told of a file of that name.
std::string CodeOfFileNamed(const std::string& name, const std::string& content) {
  std::string directory = testing::TempDir() + "cgoprof-test-XXXXXX";
  EXPECT_NE(mkdtemp(directory.data()), nullptr);
  const std::string path = directory + "/" + name;
  std::ofstream(path) << content;
  std::string code = ReadSegmentHeader(path.c_str()).error.code;
  EXPECT_EQ(ReadSegment(path.c_str()).error.code, code);
  EXPECT_EQ(unlink(path.c_str()) | rmdir(directory.c_str()), 0);
  return code;
}

TEST(SegmentReader, AFileOfAWriterThatGotNoFurtherIsASegmentThatStarts) {
  for (const std::string& zeros : {std::string(), std::string(5, '\0'), std::string(9973, '\0')}) {
    EXPECT_EQ(CodeOfFileNamed("97-1009.seg", zeros), "SEGMENT_STARTING") << zeros.size();
    for (const char* name : {"97-1009.segment", "97.seg", "-1009.seg", "97-.seg", "97x-1009.seg", "empty.seg"}) {
      EXPECT_EQ(CodeOfFileNamed(name, zeros), "NOT_A_SEGMENT") << name << " " << zeros.size();
    }
  }
  EXPECT_EQ(CodeOfFileNamed("97-1009.seg", "CGOP"), "NOT_A_SEGMENT");
  EXPECT_EQ(CodeOfFileNamed("97-1009.seg", std::string(9973, '\xA5')), "NOT_A_SEGMENT");
}

TEST(SegmentReader, RefusesASparseFileThatClaimsMoreThanAnySegmentHas) {
  std::string bytes = SmallSegment().Build();
  Region* stacks = &HeaderOf(&bytes)->regions[kStacks];
  stacks->offset = bytes.size();
  stacks->capacity = stacks->committed = stacks->used = kMaxRegionBytes / sizeof(uint64_t) + 1;
  HeaderOf(&bytes)->file_bytes = bytes.size() + kMaxRegionBytes + kSegmentPage;
  const TempFile file(bytes);
  ASSERT_EQ(ftruncate(file.fd(), static_cast<off_t>(HeaderOf(&bytes)->file_bytes)), 0);
  const NativeError error = ReadSegment(file.path()).error;
  EXPECT_EQ(error.code, "SEGMENT_DAMAGED");
  EXPECT_EQ(error.message, "damaged segment: region stacks claims more memory than any segment has");
}

TEST(SegmentReader, RefusesMoreBucketsThanAnySegmentHas) {
  std::string bytes = SmallSegment().Build();
  Region* buckets = &HeaderOf(&bytes)->regions[kBuckets];
  buckets->offset = bytes.size();
  buckets->capacity = buckets->committed = kMaxBuckets + 1;
  HeaderOf(&bytes)->file_bytes = bytes.size() + (kMaxBuckets + 1) * sizeof(Bucket);
  const TempFile file(bytes);
  ASSERT_EQ(ftruncate(file.fd(), static_cast<off_t>(HeaderOf(&bytes)->file_bytes)), 0);
  const NativeError error = ReadSegment(file.path()).error;
  EXPECT_EQ(error.message, "damaged segment: region buckets claims more memory than any segment has");
}

// A few megabytes of stacks that overlap could otherwise have a hundred times as many frames.
TEST(SegmentReader, RefusesMoreFramesThanAnySegmentHas) {
  constexpr uint32_t kStacksAllowed = kMaxFrames / kMaxStackDepth;
  SegmentBuilder builder;
  builder.AddStack(std::vector<uint64_t>(kStacksAllowed + kMaxStackDepth));
  for (uint32_t i = 0; i < kStacksAllowed; ++i) builder.AddBucket(PublishedBucket(i, kMaxStackDepth));
  builder.AddBucket(PublishedBucket(0, kMaxStackDepth));
  EXPECT_EQ(ReadGood(builder.Build()).stacks.size(), kStacksAllowed);
  builder.AddBucket(PublishedBucket(0, 1));
  const NativeError error = ReadBytes(builder.Build()).error;
  EXPECT_EQ(error.code, "SEGMENT_DAMAGED");
  EXPECT_EQ(error.message, "damaged segment: its stacks claim more frames than any segment has");
}

TEST(SegmentReader, TellsWhyAFileCannotBeOpened) {
  const NativeError missing = ReadSegment("/nonexistent/segment").error;
  EXPECT_EQ(missing.code, "ENOENT");
  EXPECT_EQ(missing.message, "no such file");

  const NativeError directory = ReadSegment("/").error;
  EXPECT_EQ(directory.code, "EIO");
  EXPECT_EQ(directory.message, "Is a directory");

  const std::string fifo_path = testing::TempDir() + "cgoprof-test-fifo-" + std::to_string(getpid());
  ASSERT_EQ(mkfifo(fifo_path.c_str(), 0600), 0);
  const NativeError fifo = ReadSegment(fifo_path.c_str()).error;
  unlink(fifo_path.c_str());
  EXPECT_EQ(fifo.code, "EIO");
  EXPECT_EQ(fifo.message, "not a regular file");

  const TempFile locked(SmallSegment().Build());
  ASSERT_EQ(fchmod(locked.fd(), 0), 0);
  const uid_t user = geteuid();
  if (user == 0) {
    ASSERT_EQ(seteuid(65534), 0);  // root may read everything
  }
  const NativeError denied = ReadSegment(locked.path()).error;
  ASSERT_EQ(seteuid(user), 0);
  EXPECT_EQ(denied.code, "EACCES");
  EXPECT_EQ(denied.message, "not allowed to read it");
}

// ---- Cut down --------------------------------------------------------------------------------------------------

TEST(SegmentReader, ClampsUsedToCommittedAndCommittedToCapacity) {
  SegmentBuilder builder = SmallSegment();
  builder.AddBucket(PublishedBucket(0, 1));
  std::string bytes = builder.Build();
  Region* buckets = &HeaderOf(&bytes)->regions[kBuckets];
  buckets->used = kHuge;
  EXPECT_EQ(ReadGood(bytes).buckets.size(), 2u);
  buckets->committed = 1;
  EXPECT_EQ(ReadGood(bytes).buckets.size(), 1u);
  buckets->committed = kHuge;
  EXPECT_EQ(ReadGood(bytes).buckets.size(), 2u);
  buckets->capacity = 1;
  EXPECT_EQ(ReadGood(bytes).buckets.size(), 1u);
}

TEST(SegmentReader, SkipsWhatIsNotPublished) {
  SegmentBuilder builder = SmallSegment();
  builder.AddModule({}, "/lib/late.so", "");
  const uint32_t stack = builder.AddStack({MakeFrame(2, 0x1234), MakeFrame(1, 0x5678)});
  builder.AddBucket(PublishedBucket(stack, 2));
  std::string bytes = builder.Build();
  RecordOf<Module>(&bytes, kModules, 1)->published = 0;
  RecordOf<Bucket>(&bytes, kBuckets, 0)->published = 0;
  const Segment segment = ReadGood(bytes);
  ASSERT_EQ(segment.modules.size(), 1u);
  ASSERT_EQ(segment.buckets.size(), 1u);
  EXPECT_EQ(segment.buckets[0].first_frame, 3u);
  EXPECT_EQ(segment.frame_modules, (std::vector<uint16_t>{1, 1, 0, 0, 1}));
}

TEST(SegmentReader, AModuleThatIsNotThereIsNoModule) {
  SegmentBuilder builder = SmallSegment();
  builder.AddStack({MakeFrame(2, 1), MakeFrame(kMaxModules, 2), MakeFrame(65535, 3)});
  const Segment segment = ReadGood(builder.Build());
  EXPECT_EQ(segment.frame_modules, (std::vector<uint16_t>{1, 1, 0, 0, 0, 0}));
}

TEST(SegmentReader, PassesOverABucketThatNeverCounted) {
  SegmentBuilder builder = SmallSegment();
  Bucket reserved = PublishedBucket(0, 1);
  reserved.allocs = reserved.frees = {0, 0};
  builder.AddBucket(reserved);
  EXPECT_EQ(ReadGood(builder.Build()).buckets.size(), 1u);
}

struct StackCase {
  const char* name;
  uint32_t stack;
  uint16_t depth;
  uint32_t first_frame;
  uint32_t frames;
  bool truncated;
};

class SegmentReaderStack : public testing::TestWithParam<StackCase> {};

TEST_P(SegmentReaderStack, StaysWithinTheRegion) {
  SegmentBuilder builder;
  builder.AddStack(std::vector<uint64_t>(211, MakeFrame(0, 0x1000)));
  builder.AddBucket(PublishedBucket(GetParam().stack, GetParam().depth));
  const Segment segment = ReadGood(builder.Build());
  ASSERT_EQ(segment.buckets.size(), 1u);
  EXPECT_EQ(segment.buckets[0].first_frame, GetParam().first_frame);
  EXPECT_EQ(segment.buckets[0].depth, GetParam().frames);
  EXPECT_EQ(segment.buckets[0].truncated, GetParam().truncated);
}

INSTANTIATE_TEST_SUITE_P(Stacks, SegmentReaderStack,
                         testing::Values(StackCase{"Empty", 0, 0, 0, 0, false},
                                         StackCase{"LastFrame", 210, 1, 210, 1, false},
                                         StackCase{"OneFrameTooMany", 210, 2, 210, 1, true},
                                         StackCase{"BehindTheRegion", 211, 1, 211, 0, true},
                                         StackCase{"FarBehindTheRegion", 0xFFFFFFFF, 3, 211, 0, true},
                                         StackCase{"Deepest", 7, kMaxStackDepth, 7, kMaxStackDepth, false},
                                         StackCase{"TooDeep", 7, kMaxStackDepth + 1, 7, kMaxStackDepth, true},
                                         StackCase{"DepthOverflows", 11, 0xFFFF, 11, kMaxStackDepth, true}),
                         [](const auto& info) { return std::string(info.param.name); });

TEST(SegmentReader, HandsBackTheBucketFlags) {
  SegmentBuilder builder = SmallSegment();
  Bucket flagged = PublishedBucket(0, 1);
  flagged.flags = kStackTruncated;
  builder.AddBucket(flagged);
  flagged.flags = kStackTruncated | kStackGoUnreachable;
  builder.AddBucket(flagged);
  const Segment segment = ReadGood(builder.Build());
  ASSERT_EQ(segment.buckets.size(), 3u);
  EXPECT_TRUE(segment.buckets[1].truncated);
  EXPECT_FALSE(segment.buckets[1].go_unreachable);
  EXPECT_TRUE(segment.buckets[2].truncated);
  EXPECT_TRUE(segment.buckets[2].go_unreachable);
}

TEST(SegmentReader, LeavesOutTextThatIsNotThere) {
  SegmentBuilder builder;
  builder.AddModule({}, "/lib/a.so", "\x11");
  builder.AddModule({}, "/lib/b.so", "\x22");
  builder.AddModule({}, std::string(4099, 'x'), std::string(67, '\x33'));
  std::string bytes = builder.Build();
  HeaderOf(&bytes)->exe_path = 0xFFFFFFFF;
  HeaderOf(&bytes)->exe_path_bytes = 0xFFFFFFFF;
  RecordOf<Module>(&bytes, kModules, 0)->path = 0xFFFFFFF0;
  RecordOf<Module>(&bytes, kModules, 1)->path_bytes = 0xFFFFFFFF;
  RecordOf<Module>(&bytes, kModules, 1)->build_id_bytes = 0xFFFFFFFF;
  const Segment segment = ReadGood(bytes);
  EXPECT_EQ(segment.header.exe_path, "");
  ASSERT_EQ(segment.modules.size(), 3u);
  EXPECT_EQ(segment.modules[0].path, "");
  EXPECT_EQ(segment.modules[0].build_id, "11");
  EXPECT_EQ(segment.modules[1].path, "");
  EXPECT_EQ(segment.modules[1].build_id, "");
  EXPECT_EQ(segment.modules[2].path, "");
  EXPECT_EQ(segment.modules[2].build_id, "");
}

TEST(SegmentReader, MakesTextSafe) {
  SegmentBuilder builder;
  builder.SetExePath("/srv/\x1b[31m\xFFname");
  builder.AddModule({}, std::string_view("/lib/\0\xC3\xA9.so", 11), "");
  const Segment segment = ReadGood(builder.Build());
  EXPECT_EQ(segment.header.exe_path, "/srv/\uFFFD[31m\uFFFDname");
  EXPECT_EQ(segment.modules[0].path, "/lib/\uFFFD\u00E9.so");
}

}  // namespace
}  // namespace cgoprof
