// See start_failure.h.
#include "preload/start_failure.h"

#include <sys/mman.h>

#include "preload/raw_syscall.h"
#include "preload/text.h"

namespace cgoprof {

void LeaveStartFailure(const char* why) {
  constexpr long kBytes = 4096;
  char name[64];
  if (!TextBuilder(name, sizeof(name)).Add("cgoprof-failed-").Add(why).ok()) return;
  const long fd = RawSyscall(SYS_memfd_create, PointerArg(name), MFD_CLOEXEC);
  if (IsError(fd)) return;
  const long page = RawSyscall(SYS_mmap, 0, kBytes, PROT_NONE, MAP_PRIVATE, fd, 0);
  if (!IsError(page)) RawSyscall(SYS_madvise, page, kBytes, MADV_DONTFORK);
  RawSyscall(SYS_close, fd);
}

}  // namespace cgoprof
