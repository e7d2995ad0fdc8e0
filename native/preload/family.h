// Malloc's family and dlclose in a process that the library was attached to: where they really are, and leading the
// program's calls of them to the hooks in interpose.cc.
#ifndef CGOPROF_PRELOAD_FAMILY_H_
#define CGOPROF_PRELOAD_FAMILY_H_

namespace cgoprof {

// Looks up what the hooks stand in front of; once. A word for the tool (see start_failure.h) where that cannot be, or
// nullptr.
const char* ResolveMallocFamily();

// False if that failed, or did in part; UndoRedirections takes back what was done.
bool HookMallocFamily();

}  // namespace cgoprof

#endif  // CGOPROF_PRELOAD_FAMILY_H_
