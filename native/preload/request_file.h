// Requests to a process into which the library was preloaded, but which it does not profile: a file beside the
// segments,
//
//   <dir>/<pid>-<start time>.on
//
// names the process as it names itself, and holds the rate in decimal. The library looks for it after every few MiB
// that a thread allocates, takes it away, and starts recording in that thread.
#ifndef CGOPROF_PRELOAD_REQUEST_FILE_H_
#define CGOPROF_PRELOAD_REQUEST_FILE_H_

namespace cgoprof {

// Looks for requests there from now on. To be called from the constructor.
void AnswerRequests(const char* directory);

}  // namespace cgoprof

#endif  // CGOPROF_PRELOAD_REQUEST_FILE_H_
