// See segment_reader.h.
#include "addon/segment_reader.h"

#include <string.h>

#include <algorithm>
#include <string_view>
#include <tuple>

#include "addon/input_file.h"
#include "addon/safe_text.h"

namespace cgoprof {
namespace {

// Records copied at a time: what a hostile count can make the reader allocate.
constexpr uint64_t kChunkRecords = 4096;

// Reads of one bucket that keeps changing before it is reported as torn.
constexpr int kMaxRereads = 8;

constexpr uint32_t kMaxPathBytes = 4096;   // PATH_MAX
constexpr uint32_t kMaxBuildIdBytes = 64;  // usual are 16 and 20

struct RegionFacts {
  const char* name;
  uint32_t record_bytes;
};
constexpr RegionFacts kRegionFacts[kRegionCount] = {
    {"modules", sizeof(Module)},         {"strings", 1},
    {"bucket heads", sizeof(uint32_t)},  {"buckets", sizeof(Bucket)},
    {"stacks", sizeof(uint64_t)},        {"live heads", sizeof(uint32_t)},
    {"live entries", sizeof(LiveEntry)},
};

NativeError Damaged(const std::string& why) { return {"SEGMENT_DAMAGED", "damaged segment: " + why}; }

NativeError CutShort() { return Damaged("the file was cut short while it was read"); }

NativeError Starting() { return {"SEGMENT_STARTING", "its process has not finished setting it up"}; }

// PID-START.seg, as a writer names its file.
bool HasSegmentName(std::string_view path) {
  constexpr std::string_view kDigits = "0123456789", kEnd = ".seg";
  std::string_view name = path.substr(path.rfind('/') + 1);
  const auto skip_number = [&] {
    const size_t digits = std::min(name.find_first_not_of(kDigits), name.size());
    name.remove_prefix(digits);
    return digits != 0;
  };
  if (!skip_number() || name.substr(0, 1) != "-") return false;
  name.remove_prefix(1);
  return skip_number() && name == kEnd;
}

// A writer makes its file, gives it its length, and only then writes into it. One that was killed before leaves zeros
// or nothing, and only the name says what that was to be.
bool IsNotYetFilled(const Header& header) {
  constexpr char kNothing[sizeof(kMagic)] = {};
  return memcmp(header.magic, kNothing, sizeof(kNothing)) == 0;
}

// What every version has: enough to refuse a file by name.
NativeError CheckPreamble(const Header& header, size_t bytes) {
  if (bytes < sizeof(kMagic) || memcmp(header.magic, kMagic, sizeof(kMagic)) != 0) {
    return {"NOT_A_SEGMENT", "not a cgoprof segment"};
  }
  if (bytes < offsetof(Header, file_bytes)) return Damaged("it ends inside its header");
  if (header.abi_major != kAbiMajor) {
    return {"SEGMENT_VERSION", "segment version " + std::to_string(header.abi_major) + "." +
                                   std::to_string(header.abi_minor) + ", this build reads version " +
                                   std::to_string(kAbiMajor)};
  }
  return {};
}

// What a region may have committed, records.
uint64_t MaxRecords(uint32_t id, uint32_t stride) {
  const uint64_t in_memory = kMaxRegionBytes / stride;
  return id == kBuckets ? std::min(in_memory, kMaxBuckets) : in_memory;
}

NativeError CheckRegion(const Header& header, uint32_t id) {
  const Region& region = header.regions[id];
  const std::string name = std::string("region ") + kRegionFacts[id].name;
  const uint32_t record_bytes = kRegionFacts[id].record_bytes;
  // Strings are addressed by the byte: they have no record that could grow.
  if (region.stride < record_bytes || region.stride > kMaxStride || (id == kStrings && region.stride != 1)) {
    return Damaged(name + " has records of " + std::to_string(region.stride) + " bytes");
  }
  if (region.offset < header.header_bytes || region.offset > header.file_bytes ||
      region.capacity > (header.file_bytes - region.offset) / region.stride) {
    return Damaged(name + " does not lie within the file");
  }
  if (std::min(region.committed, region.capacity) > MaxRecords(id, region.stride)) {
    return Damaged(name + " claims more memory than any segment has");
  }
  return {};
}

NativeError CheckHeader(const Header& header, uint64_t real_bytes) {
  if (header.state == kStateStarting) return Starting();
  if (header.state > kStateExited) return Damaged("unknown state " + std::to_string(header.state));
  if (header.file_bytes > real_bytes) {
    return Damaged("it has " + std::to_string(real_bytes) + " of its " + std::to_string(header.file_bytes) + " bytes");
  }
  if (header.header_bytes < sizeof(Header) || header.header_bytes > header.file_bytes) {
    return Damaged("a header of " + std::to_string(header.header_bytes) + " bytes");
  }
  if (header.region_count < kRegionCount || header.region_count > std::size(header.regions) ||
      header.counter_count > std::size(header.counters)) {
    return Damaged(std::to_string(header.region_count) + " regions and " + std::to_string(header.counter_count) +
                   " counters");
  }
  if (header.sample_rate == 0) return Damaged("a sample rate of 0");
  for (uint32_t id = 0; id < kRegionCount; ++id) {
    if (NativeError error = CheckRegion(header, id)) return error;
  }
  return {};
}

// Two reads that agree are a picture of the moment between them, in whatever order the kernel copied: see Bucket.
// By fields: a copy of a bucket need not have its padding.
bool IsSnapshot(const Bucket& earlier, const Bucket& later) {
  const auto fields = [](const Bucket& b) {
    return std::tie(b.hash, b.stack, b.depth, b.kind, b.flags, b.size_class, b.published, b.allocs.blocks,
                    b.allocs.bytes, b.frees.blocks, b.frees.bytes);
  };
  return fields(earlier) == fields(later);
}

// One that never counted anything is reserved, or new.
bool IsInUse(const Bucket& bucket) { return bucket.published != 0 && bucket.allocs.blocks != 0; }

// One pass over one file. Methods that return false have set error().
class SegmentPass {
 public:
  explicit SegmentPass(const char* path)
      : has_segment_name_(HasSegmentName(path)), file_(path), error_(file_.error()) {}

  const NativeError& error() const { return error_; }

  bool ReadHeader();
  bool DescribeHeader(SegmentHeader* out);

  // In this order: a writer publishes a module before a stack that points into it, and a stack before its bucket. So
  // what is read later holds everything that was read before.
  bool ReadBuckets(std::vector<SegmentBucket>* out);
  bool ReadStacks(std::vector<uint64_t>* pcs, std::vector<uint16_t>* modules);
  bool ReadModules(std::vector<SegmentModule>* out);

 private:
  bool Fail(NativeError error);
  bool CountNow(RegionId id, uint64_t* count);
  template <typename Record>
  bool ReadRecords(RegionId id, uint64_t first, uint64_t count, std::vector<Record>* out);
  bool ReadBucketAgain(uint64_t index, Bucket* bucket);
  bool SettleBucket(uint64_t index, const Bucket& earlier, Bucket* bucket, bool* torn);
  bool CountSamples(uint64_t* samples);
  bool CountLive(uint64_t* live);
  SegmentModule MakeModule(uint32_t id, const Module& raw, uint64_t strings) const;
  std::string ReadString(uint32_t offset, uint32_t bytes, uint64_t available) const;
  std::string ReadPath(uint32_t offset, uint32_t bytes, uint64_t available) const;

  const bool has_segment_name_;
  InputFile file_;
  NativeError error_;
  Header header_ = {};  // checked by ReadHeader; its offsets, capacities and strides are used from here on
};

bool SegmentPass::Fail(NativeError error) {
  error_ = std::move(error);
  return false;
}

bool SegmentPass::ReadHeader() {
  if (error_) return false;
  const size_t got = file_.ReadUpTo(0, &header_, sizeof(Header));
  if (has_segment_name_ && IsNotYetFilled(header_)) return Fail(Starting());
  if (NativeError error = CheckPreamble(header_, got)) return Fail(error);
  if (got < sizeof(Header)) return Fail(Damaged("it ends inside its header"));
  if (NativeError error = CheckHeader(header_, file_.size())) return Fail(error);
  return true;
}

// Records that may be read now. Re-reads the two counts that a living writer moves; clamps them to what was checked.
bool SegmentPass::CountNow(RegionId id, uint64_t* count) {
  Region now;
  if (!file_.Read(offsetof(Header, regions) + id * sizeof(Region), &now, sizeof(now))) return Fail(CutShort());
  const Region& checked = header_.regions[id];
  *count = std::min({now.used, now.committed, checked.capacity, MaxRecords(id, checked.stride)});
  return true;
}

// Copies the known part of `count` records, stepping over what a newer writer put behind it. The caller has clamped
// first + count by CountNow.
template <typename Record>
bool SegmentPass::ReadRecords(RegionId id, uint64_t first, uint64_t count, std::vector<Record>* out) {
  const Region& region = header_.regions[id];
  const uint64_t offset = region.offset + first * region.stride;
  out->resize(count);
  if (region.stride == sizeof(Record)) {
    return file_.Read(offset, out->data(), count * sizeof(Record)) || Fail(CutShort());
  }
  std::vector<char> raw(count * region.stride);
  if (!file_.Read(offset, raw.data(), raw.size())) return Fail(CutShort());
  for (uint64_t i = 0; i < count; ++i) memcpy(&(*out)[i], &raw[i * region.stride], sizeof(Record));
  return true;
}

bool SegmentPass::ReadBucketAgain(uint64_t index, Bucket* bucket) {
  const Region& region = header_.regions[kBuckets];
  return file_.Read(region.offset + index * region.stride, bucket, sizeof(Bucket)) || Fail(CutShort());
}

// Gives *bucket a snapshot if one of a few more reads yields one; else the last read, with *torn set.
bool SegmentPass::SettleBucket(uint64_t index, const Bucket& earlier, Bucket* bucket, bool* torn) {
  *torn = !IsSnapshot(earlier, *bucket);
  for (int i = 0; *torn && i < kMaxRereads; ++i) {
    const Bucket before = *bucket;
    if (!ReadBucketAgain(index, bucket)) return false;
    *torn = !IsSnapshot(before, *bucket);
  }
  return true;
}

SegmentBucket MakeBucket(const Bucket& raw, bool torn) {
  SegmentBucket bucket;
  bucket.kind = raw.kind;
  bucket.size_class = raw.size_class;
  bucket.allocs = raw.allocs.blocks;
  bucket.frees = raw.frees.blocks;
  bucket.alloc_bytes = raw.allocs.bytes;
  bucket.free_bytes = raw.frees.bytes;
  bucket.torn = torn;
  bucket.truncated = (raw.flags & kStackTruncated) != 0 || raw.depth > kMaxStackDepth;
  bucket.go_unreachable = (raw.flags & kStackGoUnreachable) != 0;
  bucket.first_frame = raw.stack;
  bucket.depth = std::min<uint32_t>(raw.depth, kMaxStackDepth);
  return bucket;
}

bool SegmentPass::ReadBuckets(std::vector<SegmentBucket>* out) {
  uint64_t count = 0;
  if (!CountNow(kBuckets, &count)) return false;
  std::vector<Bucket> earlier, later;
  for (uint64_t first = 0; first < count; first += kChunkRecords) {
    const uint64_t records = std::min(count - first, kChunkRecords);
    if (!ReadRecords(kBuckets, first, records, &earlier) || !ReadRecords(kBuckets, first, records, &later)) {
      return false;
    }
    for (uint64_t i = 0; i < records; ++i) {
      if (!IsInUse(later[i])) continue;
      bool torn = false;
      if (!SettleBucket(first + i, earlier[i], &later[i], &torn)) return false;
      out->push_back(MakeBucket(later[i], torn));
    }
  }
  return true;
}

bool SegmentPass::ReadStacks(std::vector<uint64_t>* pcs, std::vector<uint16_t>* modules) {
  uint64_t count = 0;
  if (!CountNow(kStacks, &count) || !ReadRecords(kStacks, 0, count, pcs)) return false;
  modules->resize(pcs->size());
  for (size_t i = 0; i < pcs->size(); ++i) {
    (*modules)[i] = static_cast<uint16_t>(FrameModule((*pcs)[i]));
    (*pcs)[i] = FramePc((*pcs)[i]);
  }
  return true;
}

bool SegmentPass::ReadModules(std::vector<SegmentModule>* out) {
  uint64_t count = 0, strings = 0;
  if (!CountNow(kModules, &count)) return false;
  count = std::min<uint64_t>(count, kMaxModules);
  std::vector<Module> earlier, later;
  for (uint64_t first = 0; first < count; first += kChunkRecords) {
    const uint64_t records = std::min(count - first, kChunkRecords);
    // Read twice: the fields of the second read are final if the first one already saw `published`.
    if (!ReadRecords(kModules, first, records, &earlier) || !ReadRecords(kModules, first, records, &later) ||
        !CountNow(kStrings, &strings)) {
      return false;
    }
    for (uint64_t i = 0; i < records; ++i) {
      if (earlier[i].published != 0) {
        out->push_back(MakeModule(static_cast<uint32_t>(first + i + 1), later[i], strings));
      }
    }
  }
  return true;
}

SegmentModule SegmentPass::MakeModule(uint32_t id, const Module& raw, uint64_t strings) const {
  SegmentModule module;
  module.id = id;
  module.path = ReadPath(raw.path, raw.path_bytes, strings);
  if (raw.build_id_bytes <= kMaxBuildIdBytes) {
    module.build_id = Hex(ReadString(raw.build_id, raw.build_id_bytes, strings));
  }
  module.image_start = raw.image_start;
  module.image_end = raw.image_end;
  module.bias = raw.bias;
  module.text_start = raw.text_start;
  module.text_end = raw.text_end;
  module.text_offset = raw.text_offset;
  module.flags = raw.flags;
  return module;
}

// Bytes of the string region, of which `available` may be read. Empty if they are not all there: half a path would name
// another file.
std::string SegmentPass::ReadString(uint32_t offset, uint32_t bytes, uint64_t available) const {
  if (uint64_t{offset} + bytes > available) return {};
  std::string text(bytes, '\0');
  return file_.Read(header_.regions[kStrings].offset + offset, text.data(), bytes) ? text : std::string();
}

std::string SegmentPass::ReadPath(uint32_t offset, uint32_t bytes, uint64_t available) const {
  return bytes <= kMaxPathBytes ? SafeText(ReadString(offset, bytes, available)) : std::string();
}

bool SegmentPass::CountSamples(uint64_t* samples) {
  uint64_t count = 0;
  if (!CountNow(kBuckets, &count)) return false;
  std::vector<Bucket> buckets;
  for (uint64_t first = 0; first < count; first += kChunkRecords) {
    if (!ReadRecords(kBuckets, first, std::min(count - first, kChunkRecords), &buckets)) return false;
    for (const Bucket& bucket : buckets) *samples += IsInUse(bucket) ? bucket.allocs.blocks : 0;
  }
  return true;
}

bool SegmentPass::CountLive(uint64_t* live) {
  uint64_t count = 0;
  if (!CountNow(kLiveEntries, &count)) return false;
  std::vector<LiveEntry> entries;
  for (uint64_t first = 0; first < count; first += kChunkRecords) {
    if (!ReadRecords(kLiveEntries, first, std::min(count - first, kChunkRecords), &entries)) return false;
    *live += std::count_if(entries.begin(), entries.end(), [](const LiveEntry& e) { return e.address > kLiveClaimed; });
  }
  return true;
}

bool SegmentPass::DescribeHeader(SegmentHeader* out) {
  uint64_t strings = 0;
  if (!CountNow(kStrings, &strings)) return false;
  out->abi_major = header_.abi_major;
  out->abi_minor = header_.abi_minor;
  out->state = static_cast<SegmentState>(header_.state);
  out->pid = header_.pid;
  out->uid = header_.uid;
  out->start_time_ticks = header_.start_time_ticks;
  out->created_unix_ns = header_.created_unix_ns;
  out->run_id = header_.run_id;
  out->sample_rate = header_.sample_rate;
  out->boot_id = Hex({reinterpret_cast<const char*>(header_.boot_id), sizeof(header_.boot_id)});
  out->exe_path = ReadPath(header_.exe_path, header_.exe_path_bytes, strings);
  if (header_.abi_minor >= 1) {
    out->wish = header_.wish == kWishPause ? kWishPause : kWishRecord;
    out->attachments = header_.attachments;
    out->attached_unix_ns = header_.attached_unix_ns;
    out->before_attach_bytes = header_.before_attach_bytes;
  }
  // Those that an older writer does not have stay 0.
  std::copy_n(header_.counters, std::min<uint32_t>(header_.counter_count, kCounterCount), out->counters);
  out->committed_bytes = header_.header_bytes;
  for (uint32_t id = 0; id < kRegionCount; ++id) {
    const Region& region = header_.regions[id];
    out->committed_bytes += std::min(region.committed, region.capacity) * region.stride;
  }
  return CountSamples(&out->samples) && CountLive(&out->live_samples);
}

// Makes every index hold within the segment that was read.
void ResolveIndices(Segment* segment) {
  for (SegmentBucket& bucket : segment->buckets) {
    const size_t frames = segment->frame_pcs.size();
    bucket.first_frame = static_cast<uint32_t>(std::min<size_t>(bucket.first_frame, frames));
    const size_t room = frames - bucket.first_frame;
    if (bucket.depth > room) {
      bucket.depth = static_cast<uint32_t>(room);
      bucket.truncated = true;
    }
  }
  std::vector<bool> known(size_t{UINT16_MAX} + 1);
  for (const SegmentModule& module : segment->modules) known[module.id] = true;
  for (uint16_t& id : segment->frame_modules) {
    if (!known[id]) id = 0;
  }
}

// Lets buckets that point at one stack share it, so that a million of them cost no more than one. By sorting, since a
// file can be made so that its stacks collide in a hash table.
void ShareStacks(Segment* segment) {
  std::vector<SegmentStack>& stacks = segment->stacks;
  for (const SegmentBucket& bucket : segment->buckets) stacks.push_back({bucket.first_frame, bucket.depth});
  std::sort(stacks.begin(), stacks.end());
  stacks.erase(std::unique(stacks.begin(), stacks.end()), stacks.end());
  for (SegmentBucket& bucket : segment->buckets) {
    const SegmentStack stack = {bucket.first_frame, bucket.depth};
    bucket.stack = static_cast<uint32_t>(std::lower_bound(stacks.begin(), stacks.end(), stack) - stacks.begin());
  }
}

// The writer's stacks do not overlap, so they have no more frames than their region. Those of a made-up file may.
NativeError CheckFrameCount(const std::vector<SegmentStack>& stacks) {
  uint64_t frames = 0;
  for (const SegmentStack& stack : stacks) frames += stack.depth;
  return frames > kMaxFrames ? Damaged("its stacks claim more frames than any segment has") : NativeError();
}

}  // namespace

SegmentReadResult ReadSegment(const char* path) {
  SegmentReadResult result;
  Segment* segment = &result.segment;
  SegmentPass pass(path);
  if (pass.ReadHeader() && pass.ReadBuckets(&segment->buckets) &&
      pass.ReadStacks(&segment->frame_pcs, &segment->frame_modules) && pass.ReadModules(&segment->modules) &&
      pass.DescribeHeader(&segment->header)) {
    ResolveIndices(segment);
    ShareStacks(segment);
    result.error = CheckFrameCount(segment->stacks);
  } else {
    result.error = pass.error();
  }
  return result;
}

SegmentHeaderReadResult ReadSegmentHeader(const char* path) {
  SegmentHeaderReadResult result;
  SegmentPass pass(path);
  if (pass.ReadHeader()) pass.DescribeHeader(&result.header);
  result.error = pass.error();
  return result;
}

}  // namespace cgoprof
