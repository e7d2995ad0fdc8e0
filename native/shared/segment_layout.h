// The segment: the file in shared memory through which the profiled process hands its C heap profile to the tool.
//
// This header is the whole contract between the two processes. libcgoprof.so (native/preload) writes the file through a
// MAP_SHARED mapping while the program runs; the addon (native/addon) reads it with pread, with no help from the
// writer, and also after the writer was killed. So three rules hold everywhere below:
//
//   1. Offsets and indices, never pointers: the two processes map the file at different addresses.
//   2. A record is filled first and published last (a release store of `published`), and a published record's immutable
//      fields never change. A writer that is killed half-way leaves a record that says it is not there.
//   3. Nothing waits. A reader that cannot get a consistent view marks the record torn and goes on; a writer that finds
//      no room drops the sample and counts the drop in Header::counters.
//
// Fields are grouped by who may touch them, as in Go's runtime/profbuf.go: "immutable" is written before publication
// and never again, "atomic" is changed by any thread of the writer with atomic instructions.
//
// All integers are little-endian, as amd64 is, the one architecture so far. A reader must treat every value as
// hostile: check it against the file's size before use.
#ifndef CGOPROF_SHARED_SEGMENT_LAYOUT_H_
#define CGOPROF_SHARED_SEGMENT_LAYOUT_H_

#include <stddef.h>
#include <stdint.h>

namespace cgoprof {

inline constexpr char kMagic[8] = {'C', 'G', 'O', 'P', 'R', 'O', 'F', '\0'};

// A change of major: an old reader must refuse the file. A change of minor: records grew at their end; an old reader
// steps over what it does not know by Region::stride and Header::header_bytes.
inline constexpr uint16_t kAbiMajor = 2;
inline constexpr uint16_t kAbiMinor = 1;

inline constexpr uint64_t kSegmentPage = 4096;
inline constexpr uint32_t kHeaderBytes = 4096;

// The most frames a stack holds; deeper stacks keep their leaf end and are flagged kStackTruncated. (Go's default
// profstackdepth is 128 too.)
inline constexpr uint32_t kMaxStackDepth = 128;

// ---- Regions ---------------------------------------------------------------------------------------------------

enum RegionId : uint32_t {
  kModules,      // Module[]: ELF images that frames point into, append-only
  kStrings,      // bytes: paths and build ids, append-only, not NUL-terminated
  kBucketHeads,  // uint32_t[]: hash chains of the bucket table, bucket index + 1, 0 = empty
  kBuckets,      // Bucket[]: append-only; the array is what mprof.go calls the allnext list
  kStacks,       // uint64_t[]: frame words (see MakeFrame), append-only, leaf first
  kLiveHeads,    // uint32_t[]: hash chains of the live set, entry index + 1, 0 = empty
  kLiveEntries,  // LiveEntry[]: nodes of those chains, reused in place
  kRegionCount,
};

// An array of equal records in the file. The file is sparse: a region's address range is reserved whole, its pages are
// taken in steps, so unused room costs no memory and a full tmpfs is noticed before it could raise SIGBUS.
struct Region {
  // immutable
  uint64_t offset;    // bytes from the start of the file, page-aligned
  uint64_t capacity;  // records the reserved range can hold
  uint32_t stride;    // bytes per record, >= the record size this header declares for the same major version
  uint32_t reserved;
  // atomic
  uint64_t committed;  // records whose pages are taken; never shrinks, <= capacity
  uint64_t used;       // records handed out; can run past committed and capacity when growing fails: readers clamp
};
static_assert(sizeof(Region) == 40);

// ---- Header ----------------------------------------------------------------------------------------------------

enum SegmentState : uint32_t {
  kStateStarting = 0,  // being laid out: nothing but the first 16 bytes may be believed
  kStateRunning = 1,   // samples are being recorded
  kStatePaused = 2,    // the library is loaded but switched off
  kStateExited = 3,    // the process ran its exit handlers (a Go program never does: it leaves by exit_group)
};

// What the tool wants of the writer, see Header::wish.
enum SegmentWish : uint32_t {
  kWishRecord = 0,
  kWishPause = 1,
};

// Header::before_attach_bytes where the allocator gives no account.
inline constexpr uint64_t kUnknownBytes = ~uint64_t{0};

// Why something was not recorded in full, or is not there any more. Each is a count of events, atomic, never reset.
enum CounterId : uint32_t {
  kDroppedBuckets,    // samples counted under an empty stack: the bucket table (or its stacks) was full
  kDroppedLive,       // samples counted as allocated but not followed to their free: the live set was full
  kTruncatedStacks,   // samples whose stack ended early: too deep, or no unwind rule
  kGoBoundaryFailed,  // samples whose stack reached Go code but could not go on onto the goroutine's frames
  kMissedFrees,       // allocations at an address whose earlier block was never seen freed
  kLostModules,       // ELF images that found no room in kModules or kStrings; their frames have module 0
  kPrunedSegments,    // of this run's dead processes, removed to make room: when this one was made, and before
  kUnknownFrees,      // since minor 1: frees of blocks that are not in the books; counted where every block is recorded
  kCounterCount,
};

struct Header {
  // The first 16 bytes are the same in every version, so that any reader can refuse a file by name.
  char magic[8];
  uint16_t abi_major;
  uint16_t abi_minor;
  uint32_t header_bytes;  // offset of the first region is >= this

  // immutable
  uint64_t file_bytes;        // reserved length of the (sparse) file
  uint32_t pid;               // as the process sees itself (its own pid namespace)
  uint32_t uid;               // effective uid at start
  uint64_t start_time_ticks;  // field 22 of /proc/self/stat: with boot_id it tells a reused pid
  uint64_t created_unix_ns;   // CLOCK_REALTIME when the segment was made
  uint64_t run_id;            // CGOPROF_RUN_ID, 0 when not started by `cgoprof run`
  uint64_t sample_rate;       // mean bytes between samples; 1 records every allocation
  uint8_t boot_id[16];        // /proc/sys/kernel/random/boot_id, as 16 bytes
  uint32_t exe_path;          // kStrings offset of the executable's path
  uint32_t exe_path_bytes;
  uint32_t region_count;   // kRegionCount of the writer
  uint32_t counter_count;  // kCounterCount of the writer

  // atomic
  uint32_t state;  // SegmentState

  // immutable
  uint32_t pid_namespace;  // inode of /proc/self/ns/pid: where `pid` means something; 0 unknown

  Region regions[16];
  uint64_t counters[32];
  uint64_t last_sample_unix_ns;  // CLOCK_REALTIME_COARSE of the newest sample; 0 without one

  // Since minor 1, atomic.

  // SegmentWish: the one field that the tool writes, the library reads. The library looks at each sample, and while it
  // is paused after every few MiB that a thread allocates.
  uint32_t wish;
  // How often recording began in a process that ran already: the library was attached, or was preloaded and asked to.
  // 0: it began with the process.
  uint32_t attachments;
  // Of the last attachment: CLOCK_REALTIME, and the bytes in use by the allocator's own account right before recording
  // began; kUnknownBytes where it gives none. With each attachment the live set starts empty: what was in it before
  // counts as freed then, because frees in between went past us, and is part of these bytes if it still is in use.
  uint64_t attached_unix_ns;
  uint64_t before_attach_bytes;
};
static_assert(sizeof(Header) <= kHeaderBytes);
static_assert(offsetof(Header, file_bytes) == 16);
static_assert(kRegionCount <= 16 && kCounterCount <= 32);

// ---- Modules and frames ----------------------------------------------------------------------------------------

enum ModuleFlags : uint32_t {
  kModuleExecutable = 1,  // the main program
  kModuleGo = 2,          // holds a .gopclntab
  kModuleVdso = 4,
};

// One load of one ELF image. A library that is unloaded and loaded again is a new module, so that a frame's module id
// stays right after its address range was reused.
struct Module {
  // immutable
  uint64_t image_start;  // lowest and one past the highest mapped address of the image
  uint64_t image_end;
  uint64_t bias;        // run-time address - ELF virtual address (0 for a non-PIE executable)
  uint64_t text_start;  // first executable segment: run-time range ...
  uint64_t text_end;
  uint64_t text_offset;  // ... and offset in the file
  uint32_t path;         // kStrings offset
  uint32_t path_bytes;
  uint32_t build_id;  // kStrings offset of the raw GNU build id
  uint32_t build_id_bytes;
  uint32_t flags;  // ModuleFlags
  // atomic
  uint32_t published;  // 0 until every field above is final
};
static_assert(sizeof(Module) == 72);

// A frame: bits 63..48 the module's index + 1 (0: in no known module), bits 47..0 the return address. Every frame is a
// return address: whoever looks up a line subtracts 1 first.
inline constexpr int kFramePcBits = 48;
inline constexpr uint64_t kFramePcMask = (uint64_t{1} << kFramePcBits) - 1;
inline constexpr uint32_t kMaxModules = 65534;
inline constexpr uint64_t MakeFrame(uint32_t module_plus_1, uint64_t pc) {
  return (uint64_t{module_plus_1} << kFramePcBits) | (pc & kFramePcMask);
}
inline constexpr uint64_t FramePc(uint64_t frame) { return frame & kFramePcMask; }
inline constexpr uint32_t FrameModule(uint64_t frame) { return static_cast<uint32_t>(frame >> kFramePcBits); }

// ---- Bucket table ----------------------------------------------------------------------------------------------

enum BucketKind : uint8_t {
  kBucketHeap = 1,  // blocks of the malloc family
};

enum BucketFlags : uint8_t {
  kStackTruncated = 1,      // the root end of the stack is missing
  kStackGoUnreachable = 2,  // it is missing because the goroutine behind runtime.asmcgocall could not be read
};

// What was allocated and freed at one stack in one size class; mprof.go's bucket and memRecordCycle in one record.
//
// mprof.go keeps three future cycles per record because Go's frees arrive late, at sweep, and would make the live heap
// look too big. C frees arrive at once, so there is no cycle here: allocs - frees is the live count at this moment.
//
// The size class is part of the key for the same reason as in Go: the probability that a block was sampled depends on
// its size, so counts can be scaled back per bucket only while all its blocks are of about one size. Bytes are summed
// exactly. All counts are raw; scaling happens once, in the tool.
//
// Consistency: a writer changes blocks and bytes of a pair in one 16-byte compare-and-swap, and no change leaves
// `blocks` as it was. So a reader that finds a bucket unchanged when it reads it again has seen a picture of the moment
// between, in whatever order it read; and whoever is killed leaves nothing half done.
struct alignas(16) BlockCount {
  uint64_t blocks;
  uint64_t bytes;  // as requested by the program, not rounded
};

struct Bucket {
  // immutable
  uint32_t next;  // next bucket of the same hash chain: index + 1, 0 = end
  uint32_t hash;
  uint32_t stack;       // index into kStacks of the leaf frame
  uint16_t depth;       // frames; 0: the table was full, see kDroppedBuckets
  uint8_t kind;         // BucketKind
  uint8_t flags;        // BucketFlags
  uint32_t size_class;  // SizeClass(size)
  // atomic; each only ever grows
  uint32_t published;  // 0 until every field above is final, but for `next`
  BlockCount allocs;
  BlockCount frees;
};
static_assert(sizeof(Bucket) == 64 && offsetof(Bucket, allocs) == 32);

// Size classes: 8 per doubling, so that the sizes within one differ by at most 12.5 % (exact below 16). The error that
// a class's spread adds to an unsampled count is below (0.125 / sqrt(12))^2 = 0.13 %.
inline constexpr uint32_t SizeClass(uint64_t size) {
  if (size < 16) return static_cast<uint32_t>(size);
  const int exponent = 63 - __builtin_clzll(size);
  return static_cast<uint32_t>((exponent - 2) * 8 + ((size >> (exponent - 3)) & 7));
}

// ---- Live set --------------------------------------------------------------------------------------------------

// A sampled block that was not freed yet. Entries belong to one hash chain for ever; removing one clears `address`, and
// the next block that hashes to the chain reuses it. A reader skips address 0 (free) and 1 (being filled).
struct LiveEntry {
  // atomic
  uint64_t address;
  // owned by the thread that claimed the entry until `address` is stored
  uint64_t size;          // bytes requested
  uint64_t time_unix_ns;  // CLOCK_REALTIME_COARSE when it was allocated
  uint32_t bucket;        // index into kBuckets
  // immutable
  uint32_t next;  // next entry of the same chain: index + 1, 0 = end
};
static_assert(sizeof(LiveEntry) == 32);
inline constexpr uint64_t kLiveFree = 0;
inline constexpr uint64_t kLiveClaimed = 1;

}  // namespace cgoprof

#endif  // CGOPROF_SHARED_SEGMENT_LAYOUT_H_
