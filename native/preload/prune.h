// Removes what dead processes left behind. Segments lie in memory, and a service that crashes and is restarted over and
// over would fill it with them; so each new one makes room first.
#ifndef CGOPROF_PRELOAD_PRUNE_H_
#define CGOPROF_PRELOAD_PRUNE_H_

#include <stdint.h>

namespace cgoprof {

inline constexpr uint32_t kMostDeadSegments = 8;
inline constexpr uint64_t kMostDeadBytes = uint64_t{256} << 20;  // memory they occupy

// Removes segments whose process is gone, the one that was written to longest ago first, until both limits hold. Those
// of the run `own_run` (0: none), whose profile is still to be written from them, count by their memory only, not as
// files. Left alone are segments of living processes and of other pid namespaces, and files that are none of ours by
// name. Returns how many segments of the own run are lost by that, see kPrunedSegments.
uint64_t PruneDeadSegments(const char* directory, uint64_t own_run);

// Makes room for one more where the file system is all but full: removes the oldest dead segment. False if there is
// room, or nothing to remove. Adds to `lost` as PruneDeadSegments counts.
bool PruneOldestIfFull(const char* directory, uint64_t own_run, uint64_t* lost);

// The pid in a segment's file name, <pid>-<start time>.seg, or 0. `start_time` is set too.
uint32_t ParseSegmentName(const char* name, uint64_t* start_time);

}  // namespace cgoprof

#endif  // CGOPROF_PRELOAD_PRUNE_H_
