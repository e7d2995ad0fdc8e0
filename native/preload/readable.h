// Asks the kernel whether memory can be read, so that an unwinder that went astray, or a look at a library whose file
// was overwritten, finds out without a SIGSEGV or SIGBUS.
#ifndef CGOPROF_PRELOAD_READABLE_H_
#define CGOPROF_PRELOAD_READABLE_H_

#include <stdint.h>

namespace cgoprof {

inline constexpr uintptr_t kProbePage = 4096;

// True if the 8 bytes at `address` (aligned to 8) can be read now. Costs one system call, changes nothing, may be used
// in signal handlers. Another thread may unmap the page right after; callers use it for memory that only a confused
// walk would reach.
bool IsReadable(uintptr_t address);

// True if every page that [start, end) touches can be read now.
bool IsRangeReadable(uintptr_t start, uintptr_t end);

}  // namespace cgoprof

#endif  // CGOPROF_PRELOAD_READABLE_H_
