// The live set: which sampled blocks are not freed yet, by address.
//
// free() asks it about every block of the program, so a miss must cost next to nothing: one byte of `filter`, indexed
// by a multiplicative hash of the address, is 0 unless a live sample hashes there. Only a non-zero byte leads into the
// chains below.
//
// The chains lie in the segment. An entry belongs to one chain for ever: it is claimed from 0 by compare-and-swap,
// filled, published by storing its address, and given back by storing 0; a chain grows at its head when all its entries
// are taken. So nothing is ever unlinked, there are no tombstones to sweep up, and no operation waits for another.
//
// What makes this sound: only the owner of a block may insert or remove its address, because only the owner may free
// it. The program's own synchronization orders the two, so operations on one address never race; operations on
// different addresses meet only in the compare-and-swap. But for TakeAny, which takes what belongs to others: so
// whoever takes an entry claims it first.
//
// Order is law for callers: Insert after the allocator returned a block and before the program sees it; Take before the
// block goes back to the allocator, which may hand the address to another thread at once.
#ifndef CGOPROF_PRELOAD_LIVE_SET_H_
#define CGOPROF_PRELOAD_LIVE_SET_H_

#include <stdint.h>

#include "preload/fork_wiped.h"
#include "preload/segment_writer.h"

namespace cgoprof {

// What is known of a sampled block.
struct LiveBlock {
  uint64_t size;  // bytes requested
  uint64_t time_unix_ns;
  uint32_t bucket;
};

class LiveSet {
 public:
  void Init(SegmentWriter* segment, uint8_t* filter) {
    segment_ = segment;
    filter_ = filter;
    head_mask_ = segment->capacity(kLiveHeads) - 1;
  }

  // False if the address cannot be in the set. No false negatives.
  static bool MayContain(const uint8_t* filter, uintptr_t address) {
    return __atomic_load_n(&filter[FilterIndex(address)], __ATOMIC_RELAXED) != 0;
  }

  // Adds a block. False if there is no room, in which case its free will go unseen.
  bool Insert(uintptr_t address, const LiveBlock& block);

  // Removes the block at `address` and says what it was; false if it was not in the set.
  bool Take(uintptr_t address, LiveBlock* block);

  // Removes the block of the entry with this index, if it has one; `entries()` is how many there are.
  bool TakeAny(uint64_t index, LiveBlock* block);
  uint64_t entries() const;

 private:
  LiveEntry* Entry(uint32_t index_plus_1) const { return segment_->At<LiveEntry>(kLiveEntries, index_plus_1 - 1); }
  uint32_t* Head(uintptr_t address) const;
  bool ClaimFromChain(uint32_t head, LiveEntry** entry) const;
  bool ClaimNew(uint32_t* head, LiveEntry** entry);
  static bool TakeFrom(LiveEntry* entry, uintptr_t address, LiveBlock* block);
  void FilterAdd(uintptr_t address);
  void FilterRemove(uintptr_t address);

  SegmentWriter* segment_;
  uint8_t* filter_;
  uint64_t head_mask_;
};

}  // namespace cgoprof

#endif  // CGOPROF_PRELOAD_LIVE_SET_H_
