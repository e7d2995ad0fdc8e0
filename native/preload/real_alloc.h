// The functions that the hooks stand in front of: libc's, or another allocator's.
//
// Where the library was preloaded, those are the next library's in the search order that defines them; the look-up
// (loaded_library.h) happens on the first call of any of them, which may come while the loader is still at work. In a
// process that it was attached to, they are the first's that the program's calls find. Either way the look-up is final:
// a block must go back to the allocator it came from.
#ifndef CGOPROF_PRELOAD_REAL_ALLOC_H_
#define CGOPROF_PRELOAD_REAL_ALLOC_H_

#include <link.h>
#include <stddef.h>

#include "preload/loaded_library.h"

namespace cgoprof {

// The whole hooked set, once: name, return type, parameters, arguments.
#define CGOPROF_REAL_FUNCTIONS(X)                                                             \
  X(malloc, void*, (size_t size), (size))                                                     \
  X(calloc, void*, (size_t count, size_t size), (count, size))                                \
  X(realloc, void*, (void* block, size_t size), (block, size))                                \
  X(free, void, (void* block), (block))                                                       \
  X(posix_memalign, int, (void** out, size_t alignment, size_t size), (out, alignment, size)) \
  X(aligned_alloc, void*, (size_t alignment, size_t size), (alignment, size))                 \
  X(memalign, void*, (size_t alignment, size_t size), (alignment, size))                      \
  X(valloc, void*, (size_t size), (size))                                                     \
  X(pvalloc, void*, (size_t size), (size))                                                    \
  X(dlclose, int, (void* handle), (handle))

struct RealFunctions {
#define CGOPROF_DECLARE(name, result, parameters, arguments) result(*name) parameters;
  CGOPROF_REAL_FUNCTIONS(CGOPROF_DECLARE)
#undef CGOPROF_DECLARE
};

// Every pointer is callable at any time: until its function is looked up, it leads to the look-up.
// Hidden, so that a hook jumps through it without a look into the global offset table.
extern __attribute__((visibility("hidden"))) RealFunctions real;

// Looks the functions up in a process that runs already; before any hook is put in place. To be called while no library
// can be unloaded (loader_lock.h). False if there is no malloc to stand in front of.
bool ResolveInRunningProcess();

// The library was loaded into a process that runs already. To be called from the constructor, as it is known only until
// further libraries are loaded. False until then.
void NoteHowLoaded();
bool IsAttached();

// Those that the functions are looked for in.
LibraryRange RealLibraries();

// As FindFirst, among those. Leaves out what may be unloaded some day: a hook's function must stay.
FoundFunction FindReal(const char* name);

}  // namespace cgoprof

#endif  // CGOPROF_PRELOAD_REAL_ALLOC_H_
