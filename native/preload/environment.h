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

enum class Removal {
  // The entries behind move up, as unsetenv does it, and the places left over at the end become NULL. The runtime of a
  // Go
  // library that a C program loads takes those for an empty auxiliary vector, and reads /proc/self/auxv instead.
  kCompact,
  // The entry stays in its place as an empty string. Go programs need that: the Go runtime looks for the auxiliary
  // vector behind the NULL that ends the environment, and finds something else there if that NULL has moved. It ignores
  // empty entries itself and does not pass them on.
  kBlank,
};

// Removes our entry from LD_PRELOAD (the user's own stay, and the variable goes if none is left) and every CGOPROF_*
// variable. In place, because a Go program reads the vector it was started with, not libc's `environ`. Must run before
// the program does.
void LeaveEnvironment(char** environment, Removal removal);

}  // namespace cgoprof

#endif  // CGOPROF_PRELOAD_ENVIRONMENT_H_
