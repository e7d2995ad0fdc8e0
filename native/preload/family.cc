// See family.h.
#include "preload/family.h"

#include <link.h>
#include <stddef.h>

#include <utility>

#include "preload/loaded_library.h"
#include "preload/loader_lock.h"
#include "preload/real_alloc.h"
#include "preload/redirect.h"

namespace cgoprof {
namespace {

// All that interpose.cc defines.
constexpr const char* kNames[] = {
#define CGOPROF_NAME(name, result, parameters, arguments) #name,
    CGOPROF_REAL_FUNCTIONS(CGOPROF_NAME)
#undef CGOPROF_NAME
        "free_sized",
    "free_aligned_sized",
};
constexpr size_t kNameCount = sizeof(kNames) / sizeof(kNames[0]);

// In a child process, too, where hooks may be in place already: by then it would find those.
bool resolved;

void* hooks[kNameCount];

// By name, not by what C++ means by it: that would be libc's, in a library that was loaded late.
void FindHooks() {
  const link_map* const own = OwnLibrary();
  for (size_t i = 0; i < kNameCount; i++) hooks[i] = FunctionAddress(*own, *FindFunction(*own, kNames[i]));
}

template <size_t kIndex>
void* ResolveHook() {
  return hooks[kIndex];
}

class FamilyRedirections {
 public:
  void Find() { Find(std::make_index_sequence<kNameCount>()); }
  bool Redirect() const { return RedirectCalls(all_, count_); }

 private:
  template <size_t... kIndexes>
  void Find(std::index_sequence<kIndexes...>) {
    (FindOne<kIndexes>(), ...);
  }

  template <size_t kIndex>
  void FindOne() {
    const FoundFunction found = FindReal(kNames[kIndex]);
    if (found.library == nullptr) return;
    Add<kIndex>(*found.library, *found.symbol);
    const ElfW(Sym)* const old = FindOldVersion(*found.library, *found.symbol, kNames[kIndex]);
    if (old != nullptr) Add<kIndex>(*found.library, *old);
  }

  template <size_t kIndex>
  void Add(const link_map& library, const ElfW(Sym) & function) {
    void* const real = UnredirectedAddress(library, function);
    all_[count_++] = {&library, &function, kNames[kIndex], real, hooks[kIndex], &ResolveHook<kIndex>};
  }

  Redirection all_[2 * kNameCount];  // with old versions
  size_t count_ = 0;
};

}  // namespace

const char* ResolveMallocFamily() {
  if (resolved) return nullptr;
  const char* why = "relocations";
  UnderLoaderLock(
      [](void* word) {
        if (FindReal("malloc").library == _r_debug.r_map)
          *static_cast<const char**>(word) = "own-malloc";
        else
          resolved = ResolveInRunningProcess();
      },
      &why);
  return resolved ? nullptr : why;
}

bool HookMallocFamily() {
  FamilyRedirections family;
  const auto find = [](void* found) {
    FindHooks();
    static_cast<FamilyRedirections*>(found)->Find();
  };
  return UnderLoaderLock(find, &family) && family.Redirect();
}

}  // namespace cgoprof
