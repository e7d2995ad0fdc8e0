// See prune.h.
#include "preload/prune.h"

#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "preload/proc_stat.h"
#include "preload/raw_syscall.h"
#include "preload/text.h"
#include "shared/segment_layout.h"

namespace cgoprof {
namespace {

constexpr uint32_t kMostListed = 256;  // the oldest; more than that at once are pruned over several starts

struct DeadSegment {
  char name[48];
  uint64_t last_ns;
  uint64_t bytes;
  bool of_own_run;
  uint64_t lost_with_it;  // segments that the own run loses when this one goes: itself, and those that went before it
};

struct DeadList {
  DeadSegment segments[kMostListed];
  uint32_t listed;
  // Of all there are:
  uint32_t others;  // those that are not of the own run
  uint64_t bytes;
  // What the own run lost before the segment that this process made as another program, which is to be replaced.
  uint64_t lost_before;
};

// The process that looks.
struct Self {
  uint32_t pid;
  uint64_t start_time;
  uint32_t pid_namespace;
  uint64_t run;  // 0: none
};

// Static, because they are large; start-up is single-threaded.
DeadList list;
Header header;  // the one that was read last

// The kernel's struct linux_dirent64; `name` runs to record_bytes.
struct DirectoryEntry {
  uint64_t inode;
  int64_t offset;
  uint16_t record_bytes;
  uint8_t type;
  char name[];
};

// Reads a segment's header. A file that is too short for one is not ours to judge.
bool ReadHeader(long directory, const char* name) {
  const long fd = RawSyscall(SYS_openat, directory, PointerArg(name), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
  if (IsError(fd)) return false;
  const long n = RawSyscall(SYS_pread64, fd, PointerArg(&header), sizeof(header), 0);
  RawSyscall(SYS_close, fd);
  return n == sizeof(header);
}

// Fills `segment` if the file is one whose process is dead.
bool IsDead(long directory, const char* name, const Self& self, DeadSegment* segment) {
  uint64_t start_time;
  const uint32_t pid = ParseSegmentName(name, &start_time);
  if (pid == 0) return false;
  const bool own_name = pid == self.pid && start_time == self.start_time;
  if (!own_name && IsProcessAlive(pid, start_time)) return false;
  // In a directory that containers share, writers of another pid namespace may live without being seen from here.
  if (!ReadHeader(directory, name) || header.pid_namespace != self.pid_namespace) return false;
  segment->of_own_run = self.run != 0 && header.run_id == self.run;
  segment->lost_with_it = segment->of_own_run ? 1 + header.counters[kPrunedSegments] : 0;
  if (own_name) {
    list.lost_before = segment->of_own_run ? header.counters[kPrunedSegments] : 0;
    return false;
  }
  struct stat info = {};
  if (!TextBuilder(segment->name, sizeof(segment->name)).Add(name).ok()) return false;
  const long result = RawSyscall(SYS_newfstatat, directory, PointerArg(name), PointerArg(&info), AT_SYMLINK_NOFOLLOW);
  if (IsError(result) || !S_ISREG(info.st_mode)) return false;
  // Stores through a mapping do not touch the file's time, so the header has the process's last sign of life.
  segment->last_ns =
      header.last_sample_unix_ns > header.created_unix_ns ? header.last_sample_unix_ns : header.created_unix_ns;
  segment->bytes = static_cast<uint64_t>(info.st_blocks) * 512;
  return true;
}

// Lists it; where there is no room, in place of the newest that is.
void Add(const DeadSegment& segment) {
  list.bytes += segment.bytes;
  if (!segment.of_own_run) list.others++;
  if (list.listed < kMostListed) {
    list.segments[list.listed++] = segment;
    return;
  }
  DeadSegment* newest = &list.segments[0];
  for (DeadSegment& other : list.segments) {
    if (other.last_ns > newest->last_ns) newest = &other;
  }
  if (segment.last_ns < newest->last_ns) *newest = segment;
}

void ListDead(long directory, uint64_t own_run) {
  alignas(8) static char buffer[4096];  // as `list`: stacks may be small
  const Self self = {static_cast<uint32_t>(RawSyscall(SYS_getpid)), ReadStartTime("self"), PidNamespace(), own_run};
  list.listed = 0;
  list.others = 0;
  list.bytes = 0;
  list.lost_before = 0;
  DeadSegment segment;
  long n;
  while ((n = RawSyscall(SYS_getdents64, directory, PointerArg(buffer), sizeof(buffer))) > 0) {
    for (long at = 0; at < n;) {
      const DirectoryEntry* entry = reinterpret_cast<const DirectoryEntry*>(buffer + at);
      if (IsDead(directory, entry->name, self, &segment)) Add(segment);
      at += entry->record_bytes;
    }
  }
}

long OpenDirectory(const char* path) {
  return RawSyscall(SYS_openat, AT_FDCWD, PointerArg(path), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

// The one with the oldest sign of life that is still there, or nullptr.
DeadSegment* Oldest(bool with_own_run) {
  DeadSegment* oldest = nullptr;
  for (uint32_t i = 0; i < list.listed; i++) {
    DeadSegment* segment = &list.segments[i];
    if (segment->name[0] == '\0' || (segment->of_own_run && !with_own_run)) continue;
    if (oldest == nullptr || segment->last_ns < oldest->last_ns) oldest = segment;
  }
  return oldest;
}

// Returns how many segments the own run loses by it.
uint64_t Remove(long directory, DeadSegment* segment) {
  const bool removed = !IsError(RawSyscall(SYS_unlinkat, directory, PointerArg(segment->name), 0));
  segment->name[0] = '\0';
  return removed ? segment->lost_with_it : 0;
}

}  // namespace

uint32_t ParseSegmentName(const char* name, uint64_t* start_time) {
  uint64_t pid;
  const char* p;
  if (!ParseNumber(name, 10, &pid, &p) || *p != '-' || pid > 0x7fffffff) return 0;
  if (!ParseNumber(p + 1, 10, start_time, &p) || strcmp(p, ".seg") != 0) return 0;
  return static_cast<uint32_t>(pid);
}

bool PruneOldestIfFull(const char* directory, uint64_t own_run, uint64_t* lost) {
  constexpr uint64_t kRoom = 16 << 20;  // more than a segment takes at first, in exact mode too
  const long fd = OpenDirectory(directory);
  if (IsError(fd)) return false;
  struct statfs info = {};
  DeadSegment* oldest = nullptr;
  const bool known = !IsError(RawSyscall(SYS_fstatfs, fd, PointerArg(&info)));
  if (known && static_cast<uint64_t>(info.f_bavail) * static_cast<uint64_t>(info.f_bsize) < kRoom) {
    ListDead(fd, own_run);
    oldest = Oldest(/*with_own_run=*/true);
  }
  const bool removed = oldest != nullptr && !IsError(RawSyscall(SYS_unlinkat, fd, PointerArg(oldest->name), 0));
  if (removed) *lost += oldest->lost_with_it;
  RawSyscall(SYS_close, fd);
  return removed;
}

uint64_t PruneDeadSegments(const char* directory, uint64_t own_run) {
  const long fd = OpenDirectory(directory);
  if (IsError(fd)) return 0;
  ListDead(fd, own_run);
  uint64_t lost = list.lost_before;
  while (list.others > kMostDeadSegments || list.bytes > kMostDeadBytes) {
    DeadSegment* oldest = Oldest(/*with_own_run=*/list.others <= kMostDeadSegments);
    if (oldest == nullptr) break;
    list.bytes -= oldest->bytes;
    if (!oldest->of_own_run) list.others--;
    lost += Remove(fd, oldest);
  }
  RawSyscall(SYS_close, fd);
  return lost;
}

}  // namespace cgoprof
