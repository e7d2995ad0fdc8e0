// Writes a file of memory (memfd_create) that another process has made, through that process's descriptor.
//
// The number is the other process's word, and what is behind it may change at any time: a file that only we may write,
// a FIFO that would have us wait. So it is looked at before it is opened, and nothing but what it should be is written
// to.
#ifndef CGOPROF_ADDON_MEMORY_FILE_H_
#define CGOPROF_ADDON_MEMORY_FILE_H_

#include <stdint.h>
#include <sys/types.h>

#include <string>

#include "addon/native_error.h"

namespace cgoprof {

// `number`: a descriptor of process `pid`, of an empty file of memory that was made under `name`. NO_MEMORY, an
// AttachErrorCode, where it is none, or could not be written whole.
NativeError FillMemoryFile(pid_t pid, int32_t number, const std::string& name, const std::string& bytes);

}  // namespace cgoprof

#endif  // CGOPROF_ADDON_MEMORY_FILE_H_
