// Start times of processes: what tells a process from a later one with the same pid.
#ifndef CGOPROF_PRELOAD_PROC_STAT_H_
#define CGOPROF_PRELOAD_PROC_STAT_H_

#include <stddef.h>
#include <stdint.h>

namespace cgoprof {

// Reads a whole small file, NUL-terminated; returns its length, or 0.
size_t ReadSmallFile(const char* path, char* buffer, size_t size);

// Field 22 of /proc/<pid>/stat, clock ticks since boot; 0 if there is no such process. `pid` as in the path ("self").
uint64_t ReadStartTime(const char* pid);

// The inode of this process's pid namespace, in which alone its pid means something; 0 if it cannot be read.
uint32_t PidNamespace();

// True if the process with this pid and start time still runs.
bool IsProcessAlive(uint32_t pid, uint64_t start_time);

}  // namespace cgoprof

#endif  // CGOPROF_PRELOAD_PROC_STAT_H_
