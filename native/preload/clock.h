// Clocks that cost a few nanoseconds and no system call.
#ifndef CGOPROF_PRELOAD_CLOCK_H_
#define CGOPROF_PRELOAD_CLOCK_H_

#include <stdint.h>
#include <time.h>

namespace cgoprof {

// Nanoseconds of a POSIX clock.
inline uint64_t ClockNanoseconds(clockid_t clock) {
  struct timespec now = {};
  clock_gettime(clock, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1000000000u + static_cast<uint64_t>(now.tv_nsec);
}

}  // namespace cgoprof

#endif  // CGOPROF_PRELOAD_CLOCK_H_
