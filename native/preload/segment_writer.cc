// See segment_writer.h.
#include "preload/segment_writer.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "preload/clock.h"
#include "preload/proc_stat.h"
#include "preload/raw_syscall.h"
#include "preload/text.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

namespace cgoprof {
namespace {

constexpr uint64_t kSmallStep = 64 << 10;  // bytes of pages taken at first ...
constexpr uint64_t kLargeStep = 1 << 20;   // ... and at most at a time

uint64_t RoundUp(uint64_t value, uint64_t unit) { return (value + unit - 1) / unit * unit; }

constexpr uint64_t kRetryNanoseconds = 1000000000;  // after a failure to take pages

constexpr uint32_t kStride[kRegionCount] = {
    sizeof(Module), 1, sizeof(uint32_t), sizeof(Bucket), sizeof(uint64_t), sizeof(uint32_t), sizeof(LiveEntry),
};

void ReadBootId(uint8_t out[16]) {
  char text[64] = {};
  ReadSmallFile("/proc/sys/kernel/random/boot_id", text, sizeof(text));
  int nibbles = 0;
  for (const char* p = text; *p != '\0' && nibbles < 32; p++) {
    const int value = DigitValue(*p, 16);
    if (value < 0) continue;
    out[nibbles / 2] = static_cast<uint8_t>(out[nibbles / 2] << 4 | value);
    nibbles++;
  }
}

// Whether pages that were taken stay taken. On a file system that copies on write they do not: each time they were
// written to the disk, the next store needs room anew, and raises SIGBUS where there is none.
bool KeepsPages(long directory) {
  constexpr long kTmpfs = 0x01021994, kRamfs = 0x858458f6, kExt = 0xef53, kXfs = 0x58465342;
  struct statfs info = {};
  if (IsError(RawSyscall(SYS_fstatfs, directory, PointerArg(&info)))) return false;
  const long type = info.f_type;
  return type == kTmpfs || type == kRamfs || type == kExt || type == kXfs;
}

// A file longer than RLIMIT_FSIZE cannot be made, and trying raises SIGXFSZ, which would kill the program.
bool FileSizeAllowed(uint64_t bytes) {
  struct rlimit limit = {};
  if (IsError(RawSyscall(SYS_prlimit64, 0, RLIMIT_FSIZE, 0, PointerArg(&limit)))) return false;
  return limit.rlim_cur == RLIM_INFINITY || bytes <= limit.rlim_cur;
}

// What MADV_POPULATE_WRITE does, for kernels before 5.14: has the kernel store to each page. FUTEX_WAKE_OP is the call
// that stores atomically and so may, by or-ing 0, change nothing while other threads write there; it has nobody to
// wake. Where there is no room it answers EFAULT; a store of ours would raise SIGBUS. (fallocate would need the file
// opened again, which fails after a setuid or a chroot or without a free descriptor, and any signal interrupts it.)
bool StoreNothing(const unsigned char* start, uint64_t bytes) {
  constexpr long kOrZero = FUTEX_OP(FUTEX_OP_OR, 0, FUTEX_OP_CMP_EQ, 0);
  for (const unsigned char* page = start; page < start + bytes; page += kSegmentPage) {
    if (IsError(RawSyscall(SYS_futex, PointerArg(page), FUTEX_WAKE_OP, 0, 0, PointerArg(page), kOrZero))) return false;
  }
  return true;
}

}  // namespace

SegmentCapacity CapacityFor(uint64_t sample_rate) {
  SegmentCapacity capacity;
  capacity.modules = 4096;
  capacity.string_bytes = 1 << 20;
  capacity.bucket_heads = 1 << 16;
  capacity.buckets = 1 << 17;
  capacity.stack_words = 1 << 22;
  capacity.live_heads = 1 << 14;
  capacity.live_entries = 1 << 19;
  if (sample_rate < kDenseRate) {
    capacity.bucket_heads = 1 << 18;
    capacity.buckets = 1 << 20;
    capacity.stack_words = 1 << 25;
    capacity.live_heads = 1 << 20;
    capacity.live_entries = 1 << 24;
  }
  return capacity;
}

void SegmentWriter::LayOut(const SegmentCapacity& c) {
  const uint64_t records[kRegionCount] = {c.modules,     c.string_bytes, c.bucket_heads, c.buckets,
                                          c.stack_words, c.live_heads,   c.live_entries};
  uint64_t offset = kHeaderBytes;
  for (uint32_t region = 0; region < kRegionCount; region++) {
    offset_[region] = offset;
    capacity_[region] = records[region];
    offset += RoundUp(records[region] * kStride[region], kSegmentPage);
  }
  file_bytes_ = offset;
}

bool SegmentWriter::Fail(const char* why) {
  failure_ = why;
  return false;
}

// Opens the directory, which must be ours and closed to others: whoever could write there could feed the tool, and
// whoever could read it would see the program's memory addresses. -1 if that cannot be.
int SegmentWriter::OpenDirectory(const char* path) {
  RawSyscall(SYS_mkdirat, AT_FDCWD, PointerArg(path), 0700);
  const long fd = RawSyscall(SYS_openat, AT_FDCWD, PointerArg(path), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  Fail("directory");
  if (IsError(fd)) return -1;
  struct stat info = {};
  const long result = RawSyscall(SYS_fstat, fd, PointerArg(&info));
  const bool ours =
      !IsError(result) && info.st_uid == static_cast<uid_t>(RawSyscall(SYS_geteuid)) && (info.st_mode & 0077) == 0;
  if (ours && KeepsPages(fd)) return static_cast<int>(fd);
  if (ours) Fail("file-system");
  RawSyscall(SYS_close, fd);
  return -1;
}

bool SegmentWriter::MapFile(int directory_fd, const char* name) {
  constexpr int kFlags = O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
  // The same pid with the same start time can only be ourselves before an exec.
  RawSyscall(SYS_unlinkat, directory_fd, PointerArg(name), 0);
  const long fd = RawSyscall(SYS_openat, directory_fd, PointerArg(name), kFlags, 0600);
  if (IsError(fd)) return Fail("file");
  long mapping = -1;
  if (!IsError(RawSyscall(SYS_ftruncate, fd, static_cast<long>(file_bytes_)))) {
    mapping = RawSyscall(SYS_mmap, 0, static_cast<long>(file_bytes_), PROT_NONE, MAP_SHARED | MAP_NORESERVE, fd, 0);
  }
  RawSyscall(SYS_close, fd);
  if (IsError(mapping)) {
    RawSyscall(SYS_unlinkat, directory_fd, PointerArg(name), 0);
    return Fail("address-space");
  }
  base_ = reinterpret_cast<unsigned char*>(mapping);
  header_ = reinterpret_cast<Header*>(base_);
  return true;
}

bool SegmentWriter::TakePages(uint64_t offset, uint64_t bytes) {
  if (IsError(RawSyscall(SYS_mprotect, PointerArg(base_ + offset), static_cast<long>(bytes), PROT_READ | PROT_WRITE))) {
    return false;
  }
  const long populated =
      RawSyscall(SYS_madvise, PointerArg(base_ + offset), static_cast<long>(bytes), MADV_POPULATE_WRITE);
  return populated == -EINVAL ? StoreNothing(base_ + offset, bytes) : !IsError(populated);
}

bool SegmentWriter::Commit(RegionId id, uint64_t end) {
  Region* region = &header_->regions[id];
  uint64_t committed = __atomic_load_n(&region->committed, __ATOMIC_ACQUIRE);
  if (end <= committed) return true;
  if (end > capacity_[id]) return false;
  // Grow by an eighth of what there is: few system calls when big, little waste when small.
  const uint64_t stride = kStride[id];
  uint64_t step = RoundUp(committed * stride / 8, kSegmentPage);
  if (step < kSmallStep) step = kSmallStep;
  if (step > kLargeStep) step = kLargeStep;
  // `committed` counts whole records; the page its end lies in is taken already or taken again, which is harmless.
  const uint64_t start_byte = committed * stride / kSegmentPage * kSegmentPage;
  uint64_t end_byte = RoundUp(end * stride, kSegmentPage);
  const uint64_t least_bytes = end_byte - start_byte;
  if (end_byte < start_byte + step) end_byte = start_byte + step;
  const uint64_t region_bytes = RoundUp(capacity_[id] * stride, kSegmentPage);
  if (end_byte > region_bytes) end_byte = region_bytes;
  if (ClockNanoseconds(CLOCK_MONOTONIC_COARSE) < __atomic_load_n(&retry_at_ns_, __ATOMIC_RELAXED)) return false;
  if (!TakePages(offset_[id] + start_byte, end_byte - start_byte)) {
    end_byte = start_byte + least_bytes;
    if (!TakePages(offset_[id] + start_byte, least_bytes)) {
      // A failing attempt costs as much as one that succeeds, and every allocation would make one.
      const uint64_t retry_at = ClockNanoseconds(CLOCK_MONOTONIC_COARSE) + kRetryNanoseconds;
      __atomic_store_n(&retry_at_ns_, retry_at, __ATOMIC_RELAXED);
      return false;
    }
  }
  uint64_t grown = end_byte / stride;
  if (grown > capacity_[id]) grown = capacity_[id];
  while (committed < grown && !__atomic_compare_exchange_n(&region->committed, &committed, grown, false,
                                                           __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
  }
  return true;
}

uint64_t SegmentWriter::Allocate(RegionId id, uint64_t count) {
  Region* region = &header_->regions[id];
  uint64_t first = __atomic_load_n(&region->used, __ATOMIC_RELAXED);
  do {
    if (!Commit(id, first + count)) return kNoRecord;
  } while (
      !__atomic_compare_exchange_n(&region->used, &first, first + count, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
  return first;
}

uint64_t SegmentWriter::AddString(const void* bytes, size_t length) {
  const uint64_t offset = Allocate(kStrings, length);
  if (offset != kNoRecord) memcpy(At<char>(kStrings, offset), bytes, length);
  return offset;
}

bool SegmentWriter::FillHeader(const SegmentConfig& config, uint64_t start_time) {
  Header* h = header_;
  memcpy(h->magic, kMagic, sizeof(kMagic));
  h->abi_major = kAbiMajor;
  h->abi_minor = kAbiMinor;
  h->header_bytes = kHeaderBytes;
  h->file_bytes = file_bytes_;
  h->pid = static_cast<uint32_t>(RawSyscall(SYS_getpid));
  h->uid = static_cast<uint32_t>(RawSyscall(SYS_geteuid));
  h->pid_namespace = PidNamespace();
  h->start_time_ticks = start_time;
  h->created_unix_ns = ClockNanoseconds(CLOCK_REALTIME);
  h->run_id = config.run_id;
  h->sample_rate = config.sample_rate;
  ReadBootId(h->boot_id);
  h->region_count = kRegionCount;
  h->counter_count = kCounterCount;
  h->counters[kPrunedSegments] = config.pruned_segments;
  for (uint32_t region = 0; region < kRegionCount; region++) {
    h->regions[region].offset = offset_[region];
    h->regions[region].capacity = capacity_[region];
    h->regions[region].stride = kStride[region];
  }
  // Hash heads are reached at random, so they are taken whole.
  if (!Commit(kBucketHeads, capacity_[kBucketHeads]) || !Commit(kLiveHeads, capacity_[kLiveHeads])) return false;
  h->regions[kBucketHeads].used = capacity_[kBucketHeads];
  h->regions[kLiveHeads].used = capacity_[kLiveHeads];

  char exe[kMaxPathBytes];
  const long length = RawSyscall(SYS_readlinkat, AT_FDCWD, PointerArg("/proc/self/exe"), PointerArg(exe), sizeof(exe));
  if (!IsError(length)) {
    const uint64_t offset = AddString(exe, static_cast<size_t>(length));
    if (offset == kNoRecord) return false;
    h->exe_path = static_cast<uint32_t>(offset);
    h->exe_path_bytes = static_cast<uint32_t>(length);
  }
  return true;
}

bool SegmentWriter::Create(const SegmentConfig& config) {
  const uint64_t start_time = ReadStartTime("self");
  char name[64];
  TextBuilder(name, sizeof(name))
      .Add(static_cast<uint64_t>(RawSyscall(SYS_getpid)))
      .Add("-")
      .Add(start_time)
      .Add(".seg");
  if (!TextBuilder(path_, sizeof(path_)).Add(config.directory).Add("/").Add(name).ok()) return Fail("directory");
  retry_at_ns_ = 0;
  LayOut(config.capacity);
  if (!FileSizeAllowed(file_bytes_)) return Fail("file-size-limit");
  const int directory = OpenDirectory(config.directory);
  if (directory < 0) return false;
  const bool mapped = MapFile(directory, name);
  RawSyscall(SYS_close, directory);
  if (!mapped) return false;
  // A forked child must not write into its parent's profile, nor a core dump carry it.
  RawSyscall(SYS_madvise, PointerArg(base_), static_cast<long>(file_bytes_), MADV_DONTFORK);
  RawSyscall(SYS_madvise, PointerArg(base_), static_cast<long>(file_bytes_), MADV_DONTDUMP);
  if (TakePages(0, kHeaderBytes) && FillHeader(config, start_time)) return true;
  Destroy();
  return Fail("no-room");
}

void SegmentWriter::SetState(SegmentState state) { __atomic_store_n(&header_->state, state, __ATOMIC_RELEASE); }

void SegmentWriter::Unlink() { RawSyscall(SYS_unlinkat, AT_FDCWD, PointerArg(path_), 0); }

void SegmentWriter::Destroy() {
  RawSyscall(SYS_munmap, PointerArg(base_), static_cast<long>(file_bytes_));
  Unlink();
}

}  // namespace cgoprof
