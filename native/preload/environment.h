// What the environment asks of the library, and taking that out of the environment again.
//
//   CGOPROF_PROFILE  which processes are profiled: go (default), all, or an executable's base name
//   CGOPROF_RATE     mean bytes between samples, default 524288; 1 records every allocation
//   CGOPROF_DIR      directory of the segment, default /dev/shm/cgoprof-<uid>
//   CGOPROF_RUN_ID   hex; marks the segments of one `cgoprof run`
//   CGOPROF_KEEP     1: keep the segment also when the process ends through its exit handlers
//   CGOPROF_FOLLOW   1: leave the environment as it is, so that child processes are profiled too
#ifndef CGOPROF_PRELOAD_ENVIRONMENT_H_
#define CGOPROF_PRELOAD_ENVIRONMENT_H_

#include <stdint.h>

#include "preload/segment_writer.h"

namespace cgoprof {

struct Settings {
  const char* profile;
  uint64_t rate;
  uint64_t run_id;
  char directory[kMaxPathBytes];
  bool keep;
  bool follow;
};

// Reads the settings; a value that makes no sense counts as not set (it was checked where it was given, and nothing may
// be printed here). False if no directory can be named.
bool ReadSettings(char** environment, Settings* settings);

// Removes our entry from LD_PRELOAD (the user's own stay, and the variable goes if none is left) and every CGOPROF_*
// variable, in place. In place, because a Go program reads the vector it was started with, not libc's `environ`; for
// that reason too the vector is compacted, not copied. Must run before the program does.
void LeaveEnvironment(char** environment);

}  // namespace cgoprof

#endif  // CGOPROF_PRELOAD_ENVIRONMENT_H_
