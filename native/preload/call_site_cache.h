// The call sites that were met lately, for all threads. Without a lock: a slot is two words, of which the first holds
// key XOR value, so that a slot that two threads wrote at once matches no key, and is a miss.
#ifndef CGOPROF_PRELOAD_CALL_SITE_CACHE_H_
#define CGOPROF_PRELOAD_CALL_SITE_CACHE_H_

#include <stdint.h>

#include "preload/call_site.h"

namespace cgoprof {

class CallSiteCache {
 public:
  // What is part of every key: call sites of another generation of the module table are not found.
  static uint64_t KeyOf(uint16_t generation) { return uint64_t{generation} << kFramePcBits; }

  // False if it is not there. `pc` has no bit above kFramePcMask.
  bool Find(uintptr_t pc, uint64_t generation_key, PackedCallSite* site) const {
    const Slot* slot = &slots_[IndexOf(pc)];
    const uint64_t value = __atomic_load_n(&slot->value, __ATOMIC_RELAXED);
    *site = PackedCallSite(value);
    return (__atomic_load_n(&slot->check, __ATOMIC_RELAXED) ^ value ^ pc) == generation_key;
  }

  void Put(uintptr_t pc, uint64_t generation_key, const PackedCallSite& site) {
    Slot* slot = &slots_[IndexOf(pc)];
    __atomic_store_n(&slot->check, (generation_key | pc) ^ site.word(), __ATOMIC_RELAXED);
    __atomic_store_n(&slot->value, site.word(), __ATOMIC_RELAXED);
  }

 private:
  static constexpr int kIndexBits = 13;
  // Fibonacci hashing, with a multiplier that fits into the instruction; the bits above its own 31 are the good ones.
  static size_t IndexOf(uintptr_t pc) { return uint64_t{pc} * 0x61C88647 >> 32 & ((size_t{1} << kIndexBits) - 1); }

  struct Slot {
    uint64_t check;  // key ^ value
    uint64_t value;
  };
  Slot slots_[size_t{1} << kIndexBits];
};

}  // namespace cgoprof

#endif  // CGOPROF_PRELOAD_CALL_SITE_CACHE_H_
