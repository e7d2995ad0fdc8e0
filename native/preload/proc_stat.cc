// See proc_stat.h.
#include "preload/proc_stat.h"

#include <fcntl.h>
#include <string.h>

#include "preload/raw_syscall.h"
#include "preload/text.h"

namespace cgoprof {

size_t ReadSmallFile(const char* path, char* buffer, size_t size) {
  buffer[0] = '\0';
  const long fd = RawSyscall(SYS_openat, AT_FDCWD, PointerArg(path), O_RDONLY | O_CLOEXEC);
  if (IsError(fd)) return 0;
  const long n = RawSyscall(SYS_read, fd, PointerArg(buffer), static_cast<long>(size - 1));
  RawSyscall(SYS_close, fd);
  if (n <= 0) return 0;
  buffer[n] = '\0';
  return static_cast<size_t>(n);
}

uint64_t ReadStartTime(const char* pid) {
  char path[64];
  char stat[1024];
  TextBuilder(path, sizeof(path)).Add("/proc/").Add(pid).Add("/stat");
  if (ReadSmallFile(path, stat, sizeof(stat)) == 0) return 0;
  // The name in field 2 may hold spaces and parentheses; the last ')' ends it.
  const char* p = strrchr(stat, ')');
  for (int field = 2; p != nullptr && field < 22; field++) {
    p = strchr(p, ' ');
    if (p != nullptr) p++;
  }
  uint64_t ticks = 0;
  const char* end;
  if (p == nullptr || !ParseNumber(p, 10, &ticks, &end)) return 0;
  return ticks;
}

uint32_t PidNamespace() {
  char target[64] = {};  // pid:[4026531836]
  constexpr char kPath[] = "/proc/self/ns/pid";
  RawSyscall(SYS_readlinkat, AT_FDCWD, PointerArg(kPath), PointerArg(target), sizeof(target) - 1);
  const char* bracket = strchr(target, '[');
  uint64_t inode = 0;
  const char* end;
  if (bracket == nullptr || !ParseNumber(bracket + 1, 10, &inode, &end)) return 0;
  return static_cast<uint32_t>(inode);
}

bool IsProcessAlive(uint32_t pid, uint64_t start_time) {
  char digits[24];
  TextBuilder(digits, sizeof(digits)).Add(static_cast<uint64_t>(pid));
  const uint64_t now = ReadStartTime(digits);
  return now != 0 && now == start_time;
}

}  // namespace cgoprof
