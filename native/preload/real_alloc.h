// The functions that the hooks stand in front of: those of the next library in the search order that defines them,
// which is libc's, or another preloaded allocator's.
//
// The look-up (loaded_library.h) happens on the first call of any of them, which may come while the loader is still at
// work, and is final: a block must go back to the allocator it came from.
#ifndef CGOPROF_PRELOAD_REAL_ALLOC_H_
#define CGOPROF_PRELOAD_REAL_ALLOC_H_

#include <link.h>
#include <stddef.h>

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

// Where the look-up begins: the library behind ours in the search order. nullptr: there is none.
const link_map* NextLibrary();

// The last of the libraries that the program was started with, which are never unloaded.
const link_map* LastInitialLibrary();

}  // namespace cgoprof

#endif  // CGOPROF_PRELOAD_REAL_ALLOC_H_
