// Finds out by trying whether an allocation comes to one of our hooks.
#ifndef CGOPROF_PRELOAD_PROBE_H_
#define CGOPROF_PRELOAD_PROBE_H_

#include <errno.h>
#include <stdint.h>

#include "preload/recorder.h"

namespace cgoprof {

// `allocate_and_release` allocates a block of a few bytes and gives it back. Every hook of an allocation counts this
// thread's countdown down. Asked more than once, because an allocator may call malloc for a purpose of its own.
// A program starts with errno 0, whatever an allocator did on its first call.
template <typename Call>
bool ReachesAHook(Call allocate_and_release) {
  constexpr int kTries = 3;
  constexpr int64_t kFar = int64_t{1} << 40;
  const int64_t before = thread_state.bytes_to_sample;
  const int error = errno;
  bool reaches = true;
  for (int i = 0; i < kTries && reaches; i++) {
    thread_state.bytes_to_sample = kFar;
    allocate_and_release();
    reaches = thread_state.bytes_to_sample != kFar;
  }
  thread_state.bytes_to_sample = before;
  errno = error;
  return reaches;
}

}  // namespace cgoprof

#endif  // CGOPROF_PRELOAD_PROBE_H_
