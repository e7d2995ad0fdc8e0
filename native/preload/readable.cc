// See readable.h.
#include "preload/readable.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

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

bool LibraryMemory::IsReadable(uint64_t address, uint64_t bytes) {
  if (address + bytes < address) return false;
  for (uint64_t page = address & ~(kProbePage - 1); page < address + bytes; page += kProbePage) {
    if (page == page_) continue;
    if (!cgoprof::IsReadable(page)) return false;
    page_ = page;
  }
  return true;
}

bool LibraryMemory::HasText(uint64_t address, const char* text) {
  const size_t bytes = strlen(text) + 1;
  return IsReadable(address, bytes) && memcmp(reinterpret_cast<const void*>(address), text, bytes) == 0;
}

}  // namespace cgoprof
