// See allocator_account.h.
#include "preload/allocator_account.h"

#include <malloc.h>
#include <stddef.h>
#include <string.h>

#include "preload/loaded_library.h"
#include "preload/loader_lock.h"
#include "preload/proc_stat.h"
#include "preload/real_alloc.h"
#include "preload/text.h"
#include "shared/segment_layout.h"

namespace cgoprof {
namespace {

// glibc's since 2.33, under a name of ours.
struct Account {
  size_t arena, free_chunks, fast_chunks, mappings;
  size_t mapped_bytes;  // blocks with a mapping of their own
  size_t reserved, fast_bytes;
  size_t used_bytes;  // all others
  size_t free_bytes, top_bytes;
};

// mallinfo counts in ints, which are right as long as the process has no more memory than that.
bool FitsMallinfo() {
  constexpr int kDataField = 6;
  constexpr uint64_t kPageBytes = 4096, kMost = uint64_t{1} << 31;
  char statm[256];
  ReadSmallFile("/proc/self/statm", statm, sizeof(statm));
  const char* p = statm;
  uint64_t pages = kMost;
  for (int field = 1; field <= kDataField; field++) {
    if (!ParseNumber(p, 10, &pages, &p)) return false;
    while (*p == ' ') p++;
  }
  return pages < kMost / kPageBytes;
}

void* Find(const link_map& library, const char* name) {
  const ElfW(Sym)* const function = FindFunction(library, name);
  return function != nullptr ? FunctionAddress(library, *function) : nullptr;
}

}  // namespace

uint64_t BytesInUse() {
  const link_map* allocator = nullptr;  // never unloaded
  UnderLoaderLock([](void* found) { *static_cast<const link_map**>(found) = FindReal("malloc").library; }, &allocator);
  if (allocator == nullptr) return kUnknownBytes;
  using Mallinfo2 = Account (*)();
  if (void* const function = Find(*allocator, "mallinfo2")) {
    const Account account = reinterpret_cast<Mallinfo2>(function)();
    return account.used_bytes + account.mapped_bytes;
  }
  using Mallinfo = struct mallinfo (*)();
  void* const function = Find(*allocator, "mallinfo");
  if (function == nullptr || !FitsMallinfo()) return kUnknownBytes;
  const struct mallinfo account = reinterpret_cast<Mallinfo>(function)();
  return uint64_t{static_cast<uint32_t>(account.uordblks)} + static_cast<uint32_t>(account.hblkhd);
}

}  // namespace cgoprof
