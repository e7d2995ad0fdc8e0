// The writer's side of the segment: makes the file, maps it, and takes its pages as they are needed.
//
// Nothing here keeps a file descriptor open. A service that closes descriptors it does not know, or counts those it
// has, must not meet ours; so pages are taken through the mapping, and the file's name matters no more once it is made.
#ifndef CGOPROF_PRELOAD_SEGMENT_WRITER_H_
#define CGOPROF_PRELOAD_SEGMENT_WRITER_H_

#include <stddef.h>
#include <stdint.h>

#include "shared/segment_layout.h"

namespace cgoprof {

inline constexpr size_t kMaxPathBytes = 512;

// How many records each region can hold. The address range is reserved, memory is taken only as records are used.
struct SegmentCapacity {
  uint64_t modules;
  uint64_t string_bytes;
  uint64_t bucket_heads;  // a power of two; taken at once
  uint64_t buckets;
  uint64_t stack_words;
  uint64_t live_heads;  // a power of two; taken at once
  uint64_t live_entries;
};

// Mean bytes between samples below which the live set grows with the heap, not with rare samples.
inline constexpr uint64_t kDenseRate = 16384;

// Sampling needs little: 10 GiB live at 512 KiB are 20,480 samples. Exact recording follows every block.
SegmentCapacity CapacityFor(uint64_t sample_rate);

struct SegmentConfig {
  const char* directory;  // made 0700 if it is not there; must be ours alone
  uint64_t sample_rate;
  uint64_t run_id;
  SegmentCapacity capacity;
  uint64_t pruned_segments = 0;  // becomes counters[kPrunedSegments]
};

inline constexpr uint64_t kNoRecord = ~uint64_t{0};

class SegmentWriter {
 public:
  // Makes <directory>/<pid>-<start time>.seg and maps it; its state is kStateStarting, which readers refuse, until the
  // caller has put everything in place and calls SetState(kStateRunning). False if it cannot be made for any reason, in
  // which case nothing is left behind. Not thread-safe.
  bool Create(const SegmentConfig& config);

  // Why Create failed, in a word that the tool knows (src/collect/start-failure.ts).
  const char* failure() const { return failure_; }

  void SetState(SegmentState state);

  // Removes the file. The mapping stays: other threads may still be recording.
  void Unlink();

  // Unmaps and unlinks; for tests, when no thread records any more.
  void Destroy();

  // Hands out `count` consecutive records and returns the first one's index, or kNoRecord if there is no room.
  // Thread-safe, lock-free; may enter the kernel to take pages.
  uint64_t Allocate(RegionId id, uint64_t count);

  // Copies bytes into kStrings; returns their offset or kNoRecord. Thread-safe.
  uint64_t AddString(const void* bytes, size_t length);

  void Count(CounterId counter, uint64_t n = 1) {
    __atomic_fetch_add(&header_->counters[counter], n, __ATOMIC_RELAXED);
  }

  // The record at `index`, which must have come from Allocate (or lie in a region that is taken at once).
  template <typename T>
  T* At(RegionId region, uint64_t index) const {
    return reinterpret_cast<T*>(base_ + offset_[region]) + index;
  }

  uint64_t capacity(RegionId region) const { return capacity_[region]; }
  Header* header() const { return header_; }
  const char* path() const { return path_; }

 private:
  void LayOut(const SegmentCapacity& capacity);
  int OpenDirectory(const char* path);
  bool MapFile(int directory_fd, const char* name);
  bool Fail(const char* why);
  bool FillHeader(const SegmentConfig& config, uint64_t start_time);
  bool Commit(RegionId id, uint64_t end);
  bool TakePages(uint64_t offset, uint64_t bytes);

  // Immutable after Create, but for retry_at_ns_. Copies of what the header says: the writer does not read its layout
  // back from the file.
  unsigned char* base_;
  Header* header_;
  uint64_t file_bytes_;
  uint64_t offset_[kRegionCount];
  uint64_t capacity_[kRegionCount];
  const char* failure_;
  uint64_t retry_at_ns_;  // atomic; CLOCK_MONOTONIC before which no pages are asked for
  char path_[kMaxPathBytes];
};

}  // namespace cgoprof

#endif  // CGOPROF_PRELOAD_SEGMENT_WRITER_H_
