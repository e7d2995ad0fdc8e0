// Which threads of a process may be borrowed to call pthread_create, and thereby malloc: those that surely hold no lock
// of the allocator's or the loader's, and are not within either.
//
// A thread qualifies that waits in the kernel, for something that neither of the two ever waits for:
//   - one in Go's own code, on the stack that the system gave it (a g0 stack): the scheduler's idle threads, and
//   sysmon.
//     Goroutine stacks are left alone: they are small, and Go's signal handlers do not run on them either;
//   - one in C code, in a call that waits for input, time or events. In futex only where the word that it waits on
//   cannot
//     be one of the allocator's or the loader's locks.
#ifndef CGOPROF_ADDON_SAFE_POINT_H_
#define CGOPROF_ADDON_SAFE_POINT_H_

#include <stdint.h>

#include <functional>
#include <string>
#include <vector>

#include "addon/remote_process.h"

namespace cgoprof {

// A range of addresses.
struct AddressRange {
  uint64_t start = 0;
  uint64_t end = 0;
  bool Contains(uint64_t address) const { return address >= start && address < end; }
};

struct SafePoints {
  std::vector<RemoteMapping> mappings;
  // Whether code at an address is Go's.
  std::function<bool(uint64_t pc)> is_go;
  // Of libc, the loader, and whatever else defines malloc: whose code may hold a lock, or whose data are locks.
  std::vector<AddressRange> allocator_and_loader;
  // malloc is libc's own, so that where its locks lie is known.
  bool libc_allocates = true;
};

// How good a thread is that waits in `call`: the lower the better; -1: not at all.
int RankSafePoint(const SafePoints& points, const ParkedCall& call);

// Whether `sp` lies on the stack that the system gave the thread, with `room` bytes below it: the main thread's, or one
// that ends in the thread's own descriptor, to which FS points.
bool IsOnSystemStack(const std::vector<RemoteMapping>& mappings, uint64_t sp, uint64_t fs_base, uint64_t room);

}  // namespace cgoprof

#endif  // CGOPROF_ADDON_SAFE_POINT_H_
