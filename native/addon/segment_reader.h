// Reads a segment file (shared/segment_layout.h) into plain values. The file is hostile input: its writer may be
// running and changing it, may have been killed half-way, may be of another version, or the file may be made up.
// Everything that is handed back was checked: indices are in range, text is valid, memory use is bounded by constants.
//
// Knows nothing of Node, so that tests and the fuzzer can drive it.
#ifndef CGOPROF_ADDON_SEGMENT_READER_H_
#define CGOPROF_ADDON_SEGMENT_READER_H_

#include <stddef.h>
#include <stdint.h>

#include <string>
#include <vector>

#include "addon/native_error.h"
#include "shared/segment_layout.h"

namespace cgoprof {

// Limits on what one file can make the reader do, and those who work on what it read; the writer uses half at most.
inline constexpr uint64_t kMaxRegionBytes = uint64_t{1} << 30;  // committed bytes of one region
inline constexpr uint32_t kMaxStride = kSegmentPage;            // bytes per record
inline constexpr uint64_t kMaxBuckets = uint64_t{1} << 21;      // committed
inline constexpr uint64_t kMaxFrames = uint64_t{1} << 26;       // of all stacks, each counted once

struct SegmentHeader {
  uint16_t abi_major = 0;
  uint16_t abi_minor = 0;
  SegmentState state = kStateStarting;
  uint32_t pid = 0;
  uint32_t uid = 0;
  uint64_t start_time_ticks = 0;
  uint64_t created_unix_ns = 0;
  uint64_t run_id = 0;
  uint64_t sample_rate = 0;  // >= 1
  std::string boot_id;       // hex, 32 digits
  std::string exe_path;      // safe text; empty when its bytes are not there
  // Of a writer before minor 1, as if they had been 0.
  SegmentWish wish = kWishRecord;
  uint32_t attachments = 0;
  uint64_t attached_unix_ns = 0;
  uint64_t before_attach_bytes = 0;  // or kUnknownBytes
  uint64_t counters[kCounterCount] = {};
  uint64_t samples = 0;          // allocations recorded
  uint64_t live_samples = 0;     // live-set entries in use
  uint64_t committed_bytes = 0;  // header and the taken part of every region
};

struct SegmentModule {
  uint32_t id = 0;  // index in the segment + 1, <= kMaxModules
  std::string path;
  std::string build_id;  // hex
  uint64_t image_start = 0;
  uint64_t image_end = 0;
  uint64_t bias = 0;
  uint64_t text_start = 0;
  uint64_t text_end = 0;
  uint64_t text_offset = 0;
  uint32_t flags = 0;  // ModuleFlags
};

struct SegmentBucket {
  uint8_t kind = 0;  // BucketKind, or a kind of a newer minor version
  uint32_t size_class = 0;
  uint64_t allocs = 0;
  uint64_t frees = 0;
  uint64_t alloc_bytes = 0;
  uint64_t free_bytes = 0;
  bool torn = false;            // no two reads of it agreed
  bool truncated = false;       // the root end of the stack is missing
  bool go_unreachable = false;  // ... because the goroutine could not be read
  uint32_t first_frame = 0;     // into Segment::frame_pcs; first_frame + depth <= its size
  uint32_t depth = 0;           // <= kMaxStackDepth
  uint32_t stack = 0;           // into Segment::stacks: those two, shared with the other buckets of the stack
};

// As in SegmentBucket.
struct SegmentStack {
  uint32_t first_frame = 0;
  uint32_t depth = 0;

  bool operator==(const SegmentStack& other) const { return first_frame == other.first_frame && depth == other.depth; }
  bool operator<(const SegmentStack& other) const {
    return first_frame != other.first_frame ? first_frame < other.first_frame : depth < other.depth;
  }
};

struct Segment {
  SegmentHeader header;
  std::vector<SegmentModule> modules;
  std::vector<SegmentBucket> buckets;
  std::vector<SegmentStack> stacks;  // each once, however many buckets point at it; kMaxFrames in all
  // The stack region, split.
  std::vector<uint64_t> frame_pcs;
  std::vector<uint16_t> frame_modules;  // id of one of `modules`, or 0
};

struct SegmentReadResult {
  NativeError error;  // set: `segment` means nothing
  Segment segment;
};

struct SegmentHeaderReadResult {
  NativeError error;  // set: `header` means nothing
  SegmentHeader header;
};

// Both never wait for the writer, keep no state and may be called from any thread.
// Codes: ENOENT, EACCES, EIO, NOT_A_SEGMENT, SEGMENT_VERSION, SEGMENT_STARTING, SEGMENT_DAMAGED.
SegmentReadResult ReadSegment(const char* path);
SegmentHeaderReadResult ReadSegmentHeader(const char* path);

}  // namespace cgoprof

#endif  // CGOPROF_ADDON_SEGMENT_READER_H_
