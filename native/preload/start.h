// Prepares the recorder in a directory of segments, in which it makes room first.
#ifndef CGOPROF_PRELOAD_START_H_
#define CGOPROF_PRELOAD_START_H_

#include <stddef.h>
#include <stdint.h>

namespace cgoprof {

struct StartSettings {
  const char* directory;
  uint64_t rate;
  uint64_t run_id;
  bool is_kept;  // a run that keeps its segments makes one profile of all of them
};

// False if it cannot be done: RecorderFailure() says why.
bool PrepareInDirectory(const StartSettings& settings);

// The directory of segments where nobody named one. False if the buffer is too small.
bool DefaultDirectory(char* buffer, size_t size);

}  // namespace cgoprof

#endif  // CGOPROF_PRELOAD_START_H_
