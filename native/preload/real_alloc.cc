// See real_alloc.h.
#include "preload/real_alloc.h"

#include <errno.h>

#include "preload/loaded_library.h"

namespace cgoprof {
namespace {

void* FindNext(const char* name) {
  const FoundFunction found = FindFirst(NextLibrary(), name);
  return found.library != nullptr ? FunctionAddress(*found.library, *found.symbol) : nullptr;
}

// What a function that no library defines does.
template <typename Result>
Result Missing();
template <>
void* Missing() {
  errno = ENOMEM;
  return nullptr;
}
template <>
int Missing() {
  return ENOMEM;
}
template <>
void Missing() {}

#define CGOPROF_MISSING(name, result, parameters, arguments)          \
  result Missing_##name parameters {                                  \
    if (false) return real.name arguments; /* uses every parameter */ \
    return Missing<result>();                                         \
  }
CGOPROF_REAL_FUNCTIONS(CGOPROF_MISSING)
#undef CGOPROF_MISSING

const link_map* last_initial_library;

// Whoever loads another library allocates first, and so comes here before there is one.
void NoteLastInitialLibrary() {
  if (last_initial_library != nullptr) return;
  const link_map* last = _r_debug.r_map;
  while (last != nullptr && last->l_next != nullptr) last = last->l_next;
  last_initial_library = last;
}

void ResolveAll() {
  NoteLastInitialLibrary();
#define CGOPROF_RESOLVE(name, result, parameters, arguments)                                                         \
  {                                                                                                                  \
    void* found = FindNext(#name);                                                                                   \
    __atomic_store_n(&real.name, found != nullptr ? reinterpret_cast<result(*) parameters>(found) : &Missing_##name, \
                     __ATOMIC_RELAXED);                                                                              \
  }
  CGOPROF_REAL_FUNCTIONS(CGOPROF_RESOLVE)
#undef CGOPROF_RESOLVE
}

#define CGOPROF_FIRST(name, result, parameters, arguments) \
  result First_##name parameters {                         \
    ResolveAll();                                          \
    return real.name arguments;                            \
  }
CGOPROF_REAL_FUNCTIONS(CGOPROF_FIRST)
#undef CGOPROF_FIRST

}  // namespace

RealFunctions real = {
#define CGOPROF_INITIAL(name, result, parameters, arguments) &First_##name,
    CGOPROF_REAL_FUNCTIONS(CGOPROF_INITIAL)
#undef CGOPROF_INITIAL
};

const link_map* LastInitialLibrary() {
  NoteLastInitialLibrary();
  return last_initial_library;
}

const link_map* NextLibrary() {
  const link_map* const own = OwnLibrary();
  return own != nullptr ? own->l_next : nullptr;
}

}  // namespace cgoprof
