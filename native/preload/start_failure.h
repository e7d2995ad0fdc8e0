// Tells the tool why a process that was to be profiled is not. There is no segment to write that into, and nothing may
// be printed; but a mapping can have a name, which everybody sees who reads /proc/PID/maps:
//
//   7f0c3a1e5000-7f0c3a1e6000 ---p 00000000 00:01 1033  /memfd:cgoprof-failed-no-room (deleted)
#ifndef CGOPROF_PRELOAD_START_FAILURE_H_
#define CGOPROF_PRELOAD_START_FAILURE_H_

namespace cgoprof {

// Leaves a page of address space, no memory, with that name. Child processes do not inherit it. `why` is a word of
// RecorderFailure or WhyMallocIsUnseen. Does nothing where it cannot be done.
void LeaveStartFailure(const char* why);

}  // namespace cgoprof

#endif  // CGOPROF_PRELOAD_START_FAILURE_H_
