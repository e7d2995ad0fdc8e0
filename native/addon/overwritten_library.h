// Finds a library of a running process whose file was overwritten in place since it was loaded (cp over it, where mv
// would have left the old file to those who have it). Pages that nobody has written to are the new file's then; where
// the old file was cut short first, as cp does, so are those that the loader had filled in, or they are gone. The
// loader looks at all libraries when it loads one, and may well die of such a one, by SIGSEGV or SIGBUS.
//
// The loader's list of libraries is found as debuggers find it: r_debug, by DT_DEBUG of the executable (glibc's
// <link.h>).
#ifndef CGOPROF_ADDON_OVERWRITTEN_LIBRARY_H_
#define CGOPROF_ADDON_OVERWRITTEN_LIBRARY_H_

#include <string>

#include "addon/remote_image.h"
#include "addon/remote_process.h"

namespace cgoprof {

// The path of such a library; '' where there is none, or where that cannot be told. Takes some tens of milliseconds
// where one looks so: it may be one that is being loaded.
std::string FindOverwrittenLibrary(const RemoteProcess& process, const RemoteImage& executable);

}  // namespace cgoprof

#endif  // CGOPROF_ADDON_OVERWRITTEN_LIBRARY_H_
