// Stores to places that may be read-only: symbol tables, and what the loader has filled in and closed (RELRO).
#ifndef CGOPROF_PRELOAD_GATHERED_STORES_H_
#define CGOPROF_PRELOAD_GATHERED_STORES_H_

#include <stddef.h>
#include <stdint.h>

#include "preload/proc_maps.h"

namespace cgoprof {

// How a page is protected is known from /proc/self/maps alone, so stores are gathered for one look at it. Every page is
// left as it was found.
class GatheredStores {
 public:
  // To store `value` where `held` was seen. The place is aligned.
  void Add(uintptr_t* place, uintptr_t held, uintptr_t value);

  // Does what was gathered, in order, up to the first store that fails; nothing more after that. False if one failed,
  // now or before.
  bool Flush();

  // How many there were so far.
  uint64_t done() const { return done_; }

 private:
  static constexpr size_t kMost = 128;

  struct Store {
    uintptr_t* place;
    uintptr_t held;
    uintptr_t value;
    long protection;  // of the page, as it was found
    bool done;
  };

  static void NoteProtection(const Mapping& mapping, void* self);
  bool Look();
  bool StoreAll();
  bool IsAllDone() const;

  Store stores_[kMost];
  size_t count_ = 0;
  uint64_t done_ = 0;
  bool failed_ = false;
};

}  // namespace cgoprof

#endif  // CGOPROF_PRELOAD_GATHERED_STORES_H_
