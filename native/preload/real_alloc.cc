// See real_alloc.h.
#include "preload/real_alloc.h"

#include <errno.h>

#include "preload/library_memory.h"
#include "preload/loaded_library.h"

namespace cgoprof {
namespace {

bool attached;

LibraryRange LibrariesBehindOurs() {
  const link_map* const own = OwnLibrary();
  return {own != nullptr ? own->l_next : nullptr, nullptr};
}

// The loader itself was there when the program started, and so were those in front of it in the list; libc was, too.
bool IsInitial(const link_map& library) {
  if (FindFunction(library, "__libc_start_main") != nullptr) return true;
  const link_map* other = _r_debug.r_map;
  while (other != nullptr && other != &library && other->l_addr != _r_debug.r_ldbase) other = other->l_next;
  return other == &library;
}

void* FindRealAddress(const char* name) {
  const FoundFunction found = FindReal(name);
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

void ResolveAll(){
#define CGOPROF_RESOLVE(name, result, parameters, arguments)                                                         \
  {                                                                                                                  \
    void* found = FindRealAddress(#name);                                                                            \
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

void NoteHowLoaded() {
  attached = FindFirst(LibrariesBehindOurs(), "malloc").library == nullptr;
  if (attached) DistrustLibraries();
}

bool IsAttached() { return attached; }

LibraryRange RealLibraries() { return attached ? LibraryRange{_r_debug.r_map, OwnLibrary()} : LibrariesBehindOurs(); }

FoundFunction FindReal(const char* name) {
  const FoundFunction found = FindFirst(RealLibraries(), name);
  const bool stays = found.library != nullptr && (!attached || IsInitial(*found.library));
  return stays ? found : FoundFunction{nullptr, nullptr};
}

bool ResolveInRunningProcess() {
  if (FindReal("malloc").library == nullptr) return false;
  ResolveAll();
  return true;
}

}  // namespace cgoprof
