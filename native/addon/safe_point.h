// Which threads of a process may be borrowed to call pthread_create, and thereby malloc: those that surely hold no lock
// of the allocator's or the loader's, and are not within either.
//
// A thread qualifies that waits in the kernel, for something that neither of the two ever waits for: in Go's own code
// (the scheduler's idle threads, sysmon), or in C code in a call that waits for input, time or events. In C, futex
// counts only where the word that it waits on cannot be one of their locks, nor one on the thread's own stack: so libc
// waits, with a lock held, where all threads are to change their user.
//
// It must be on the stack that the system gave it: goroutine stacks are small, and Go's signal handlers do not run on
// them either. It must have room there, and not be in a signal handler, which may have interrupted whatever there is.
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
  // Of those the executable ones.
  std::vector<AddressRange> code;
  // Whether code at an address is what signal handlers return to: a call of rt_sigreturn.
  std::function<bool(uint64_t pc)> is_restorer;
  // Whether code at an address is Go's.
  std::function<bool(uint64_t pc)> is_go;
  // Among their data are locks.
  AddressRange libc;
  AddressRange loader;
  // What defines malloc beside libc. Where its locks lie is not known; its code, and the loader's, may hold one
  // wherever it waits.
  std::vector<AddressRange> other_allocators;
};

// How good a thread is that waits in `call`: the lower the better; -1: not at all.
int RankSafePoint(const SafePoints& points, const ParkedCall& call);

// Whether a call that the kernel ends with EINTR, although the thread was only stopped, is to be begun again. Go's own
// code asks the time and begins again by itself.
bool BeginsAgain(const SafePoints& points, uint64_t pc);

// The part of a thread's stack that is in use, from its stack pointer on. Empty if that is not the stack that the
// system gave the thread, with `room` bytes left below: the main thread's, or one that ends in the thread's own
// descriptor, to which FS points.
AddressRange UsedSystemStack(const std::vector<RemoteMapping>& mappings, uint64_t sp, uint64_t fs_base, uint64_t room);

// Whether the used part of a stack (`words`, from the stack pointer on) speaks against borrowing its thread: it holds
// the return address of a signal handler; or, near the stack pointer, one into the code of an allocator that is not
// libc's.
bool SpeaksAgainst(const SafePoints& points, const std::vector<uint64_t>& words);

}  // namespace cgoprof

#endif  // CGOPROF_ADDON_SAFE_POINT_H_
