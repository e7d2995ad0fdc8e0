// See proc_maps.h.
#include "preload/proc_maps.h"

#include <fcntl.h>
#include <string.h>

#include "preload/raw_syscall.h"
#include "preload/text.h"

namespace cgoprof {
namespace {

// Cuts " (deleted)" off; the tool finds such files by pid and build id.
void StripDeleted(char* path) {
  constexpr char kSuffix[] = " (deleted)";
  constexpr size_t kSuffixBytes = sizeof(kSuffix) - 1;
  const size_t length = strlen(path);
  if (length > kSuffixBytes && memcmp(path + length - kSuffixBytes, kSuffix, kSuffixBytes) == 0) {
    path[length - kSuffixBytes] = '\0';
  }
}

}  // namespace

// 55d0-55d4 r-xp 00002000 fe:01 1234      /usr/bin/cat
bool ParseMapsLine(char* line, Mapping* mapping) {
  uint64_t start, end, major, minor;
  const char* p;
  if (!ParseNumber(line, 16, &start, &p) || *p != '-') return false;
  if (!ParseNumber(p + 1, 16, &end, &p) || *p != ' ' || strlen(p) < 6) return false;
  mapping->readable = p[1] == 'r';
  mapping->writable = p[2] == 'w';
  mapping->executable = p[3] == 'x';
  if (!ParseNumber(p + 6, 16, &mapping->offset, &p) || *p != ' ') return false;
  if (!ParseNumber(p + 1, 16, &major, &p) || *p != ':') return false;
  if (!ParseNumber(p + 1, 16, &minor, &p) || *p != ' ') return false;
  if (!ParseNumber(p + 1, 10, &mapping->inode, &p)) return false;
  while (*p == ' ') p++;
  mapping->start = start;
  mapping->end = end;
  char* path = line + (p - line);
  StripDeleted(path);
  mapping->path = path;
  return true;
}

bool ForEachMapping(char* buffer, size_t size, MappingVisitor visit, void* argument) {
  const long fd = RawSyscall(SYS_openat, AT_FDCWD, PointerArg("/proc/self/maps"), O_RDONLY | O_CLOEXEC);
  if (IsError(fd)) return false;
  size_t used = 0;
  bool skipping = false;  // inside a line that is longer than the buffer
  while (true) {
    const long n = RawSyscall(SYS_read, fd, PointerArg(buffer + used), static_cast<long>(size - used));
    if (n <= 0) break;
    used += static_cast<size_t>(n);
    char* line = buffer;
    char* newline;
    while ((newline = static_cast<char*>(memchr(line, '\n', used - static_cast<size_t>(line - buffer)))) != nullptr) {
      *newline = '\0';
      Mapping mapping;
      if (!skipping && ParseMapsLine(line, &mapping)) visit(mapping, argument);
      skipping = false;
      line = newline + 1;
    }
    used -= static_cast<size_t>(line - buffer);
    memmove(buffer, line, used);
    if (used == size) {
      skipping = true;
      used = 0;
    }
  }
  RawSyscall(SYS_close, fd);
  return true;
}

}  // namespace cgoprof
