// See readable.h.
#include "preload/readable.h"

#include <errno.h>
#include <stddef.h>

#include "preload/raw_syscall.h"

namespace cgoprof {

bool IsReadable(uintptr_t address) {
  // rt_sigprocmask copies the new mask from user memory before it looks at `how`: an unreadable address gives EFAULT, a
  // readable one EINVAL for the impossible `how`, and in neither case does a mask change. Every seccomp profile lets it
  // pass, which cannot be said of process_vm_readv.
  constexpr long kImpossibleHow = ~0L;
  constexpr long kKernelSigsetBytes = 8;
  return RawSyscall(SYS_rt_sigprocmask, kImpossibleHow, static_cast<long>(address), 0, kKernelSigsetBytes) == -EINVAL;
}

bool IsRangeReadable(uintptr_t start, uintptr_t end) {
  if (end < start) return false;
  for (uintptr_t page = start & ~(kProbePage - 1); page < end; page += kProbePage) {
    if (!IsReadable(page)) return false;
    if (page + kProbePage < page) return false;
  }
  return true;
}

}  // namespace cgoprof
