// The bucket table: what was allocated and freed, per stack and size class. Modelled on runtime/mprof.go.
//
// As there, a hash array leads to chains of buckets (`next`), all buckets also lie on one list (here: the kBuckets
// array itself, in order of creation), and the header of a bucket never changes after it was published, so that
// look-ups and readers need no lock. As in Go 1.19 and later, a look-up is lock-free; unlike there, so is an insertion:
// the hooks may run in a signal handler that interrupted an insertion. If two threads make the same bucket at once, the
// one that loses the compare-and-swap at the chain's head finds the winner's bucket, uses it, and leaves its own
// unused: a lost record, a few per run at most.
//
// See Bucket in shared/segment_layout.h for what is counted and how a reader gets a consistent view.
#ifndef CGOPROF_PRELOAD_BUCKET_TABLE_H_
#define CGOPROF_PRELOAD_BUCKET_TABLE_H_

#include <stdint.h>

#include "preload/segment_writer.h"

namespace cgoprof {

// A stack to look up: frame words as in the segment, leaf first.
struct Stack {
  uint64_t frames[kMaxStackDepth];
  uint32_t depth;
  uint8_t flags;  // BucketFlags
};

class BucketTable {
 public:
  static constexpr uint32_t kNone = ~uint32_t{0};

  void Init(SegmentWriter* segment) {
    segment_ = segment;
    head_mask_ = segment->capacity(kBucketHeads) - 1;
  }

  // The bucket of this stack and size, made if need be; kNone if the table is full. Thread-safe.
  uint32_t Find(const Stack& stack, uint64_t size);

  // Makes the buckets that FindWithoutStack hands out while there is room for them. Not thread-safe.
  void ReserveWithoutStack();

  // A bucket for what finds no room: of an empty stack, one for each doubling of the size. kNone if there was no room
  // for that either.
  uint32_t FindWithoutStack(uint64_t size) const { return without_stack_[Doubling(size)]; }

  // Books one block of `size` bytes as allocated or freed. Thread-safe.
  void AddAlloc(uint32_t index, uint64_t size);
  void AddFree(uint32_t index, uint64_t size);

 private:
  struct Key {
    const Stack* stack;
    uint32_t size_class;
    uint32_t hash;
  };
  Bucket* At(uint32_t index) const { return segment_->At<Bucket>(kBuckets, index); }
  bool Matches(const Bucket& bucket, const Key& key) const;
  uint32_t Search(uint32_t first, uint32_t end, const Key& key) const;
  Bucket* Make(const Key& key, uint32_t* index);

  static constexpr uint32_t kDoublings = 48;  // no block is larger than the address space
  static uint32_t Doubling(uint64_t size) {
    const uint32_t exponent = 63 - static_cast<uint32_t>(__builtin_clzll(size | 1));
    return exponent < kDoublings ? exponent : kDoublings - 1;
  }

  SegmentWriter* segment_;
  uint64_t head_mask_;
  uint32_t without_stack_[kDoublings];
};

}  // namespace cgoprof

#endif  // CGOPROF_PRELOAD_BUCKET_TABLE_H_
