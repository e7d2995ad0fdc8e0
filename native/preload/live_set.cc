// See live_set.h.
#include "preload/live_set.h"

#include <sys/mman.h>

#include "preload/raw_syscall.h"

#ifndef MADV_WIPEONFORK
#define MADV_WIPEONFORK 18
#endif

namespace cgoprof {
bool WipeOnFork(ForkWiped* state) {
  return !IsError(RawSyscall(SYS_madvise, PointerArg(state), sizeof(*state), MADV_WIPEONFORK));
}

// A head for every 128 bytes, where there is room for four blocks of glibc's smallest; neighbours side by side, so that
// the blocks that a program has in use share few cache lines and pages of the table. What lies a megabyte or more apart
// is spread out by the hash.
uint32_t* LiveSet::Head(uintptr_t address) const {
  const uint64_t neighbourhood = HashAddress(address >> 20) >> 32;
  return segment_->At<uint32_t>(kLiveHeads, (neighbourhood + (address >> 7)) & head_mask_);
}

void LiveSet::FilterAdd(uintptr_t address) {
  uint8_t* cell = &filter_[FilterIndex(address)];
  uint8_t count = __atomic_load_n(cell, __ATOMIC_RELAXED);
  while (count != kSaturated && !__atomic_compare_exchange_n(cell, &count, static_cast<uint8_t>(count + 1), false,
                                                             __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
  }
}

void LiveSet::FilterRemove(uintptr_t address) {
  uint8_t* cell = &filter_[FilterIndex(address)];
  uint8_t count = __atomic_load_n(cell, __ATOMIC_RELAXED);
  // A saturated cell no longer knows how many it stands for.
  while (count != kSaturated && count != 0 &&
         !__atomic_compare_exchange_n(cell, &count, static_cast<uint8_t>(count - 1), false, __ATOMIC_RELAXED,
                                      __ATOMIC_RELAXED)) {
  }
}

bool LiveSet::ClaimFromChain(uint32_t head, LiveEntry** entry) const {
  for (uint32_t i = head; i != 0; i = (*entry)->next) {
    *entry = Entry(i);
    uint64_t expected = kLiveFree;
    if (__atomic_load_n(&(*entry)->address, __ATOMIC_RELAXED) == kLiveFree &&
        __atomic_compare_exchange_n(&(*entry)->address, &expected, kLiveClaimed, false, __ATOMIC_ACQUIRE,
                                    __ATOMIC_RELAXED)) {
      return true;
    }
  }
  return false;
}

bool LiveSet::ClaimNew(uint32_t* head, LiveEntry** entry) {
  const uint64_t index = segment_->Allocate(kLiveEntries, 1);
  if (index == kNoRecord) return false;
  const uint32_t index_plus_1 = static_cast<uint32_t>(index + 1);
  *entry = Entry(index_plus_1);
  __atomic_store_n(&(*entry)->address, kLiveClaimed, __ATOMIC_RELAXED);
  uint32_t first = __atomic_load_n(head, __ATOMIC_RELAXED);
  do {
    (*entry)->next = first;
  } while (!__atomic_compare_exchange_n(head, &first, index_plus_1, false, __ATOMIC_RELEASE, __ATOMIC_RELAXED));
  return true;
}

bool LiveSet::Insert(uintptr_t address, const LiveBlock& block) {
  uint32_t* head = Head(address);
  LiveEntry* entry = nullptr;
  if (!ClaimFromChain(__atomic_load_n(head, __ATOMIC_ACQUIRE), &entry) && !ClaimNew(head, &entry)) return false;
  entry->size = block.size;
  entry->time_unix_ns = block.time_unix_ns;
  entry->bucket = block.bucket;
  __atomic_store_n(&entry->address, address, __ATOMIC_RELEASE);
  FilterAdd(address);
  return true;
}

bool LiveSet::TakeFrom(LiveEntry* entry, uintptr_t address, LiveBlock* block) {
  if (!__atomic_compare_exchange_n(&entry->address, &address, kLiveClaimed, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
    return false;
  *block = {entry->size, entry->time_unix_ns, entry->bucket};
  __atomic_store_n(&entry->address, kLiveFree, __ATOMIC_RELEASE);
  return true;
}

bool LiveSet::Take(uintptr_t address, LiveBlock* block) {
  for (uint32_t i = __atomic_load_n(Head(address), __ATOMIC_ACQUIRE); i != 0;) {
    LiveEntry* entry = Entry(i);
    if (__atomic_load_n(&entry->address, __ATOMIC_RELAXED) == address) {
      if (!TakeFrom(entry, address, block)) return false;
      FilterRemove(address);
      return true;
    }
    i = entry->next;
  }
  return false;
}

uint64_t LiveSet::entries() const {
  const Region& region = segment_->header()->regions[kLiveEntries];
  return __atomic_load_n(&region.used, __ATOMIC_ACQUIRE);
}

bool LiveSet::TakeAny(uint64_t index, LiveBlock* block) {
  LiveEntry* entry = segment_->At<LiveEntry>(kLiveEntries, index);
  const uintptr_t address = __atomic_load_n(&entry->address, __ATOMIC_RELAXED);
  if (address == kLiveFree || address == kLiveClaimed || !TakeFrom(entry, address, block)) return false;
  FilterRemove(address);
  return true;
}

}  // namespace cgoprof
