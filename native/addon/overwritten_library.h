// Finds a library of a running process whose file was overwritten in place since it was loaded (cp over it, where mv
// would have left the old file to those who have it). The pages that the loader had filled in are the new file's then,
// or gone: the loader looks at every library when it loads another, and the process dies of that, SIGSEGV or SIGBUS.
//
// The loader's list of libraries is found as debuggers find it: r_debug, by DT_DEBUG of the executable (glibc's
// <link.h>).
#ifndef CGOPROF_ADDON_OVERWRITTEN_LIBRARY_H_
#define CGOPROF_ADDON_OVERWRITTEN_LIBRARY_H_

#include <string>

#include "addon/remote_process.h"

namespace cgoprof {

// The path of such a library; '' where there is none, or the list is not to be had. Takes some tens of milliseconds
// where one looks so: it may be one that is being loaded.
std::string FindOverwrittenLibrary(const RemoteProcess& process);

}  // namespace cgoprof

#endif  // CGOPROF_ADDON_OVERWRITTEN_LIBRARY_H_
