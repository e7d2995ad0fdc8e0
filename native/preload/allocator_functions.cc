// See allocator_functions.h. The hooks do what those in interpose.cc do, and keep its rules.
//
// An exception (std::bad_alloc) that the real operator new throws passes through a hook's frame: it has unwind tables,
// and nothing to clean up.
#include "preload/allocator_functions.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <utility>

#include "preload/hook.h"
#include "preload/loaded_library.h"
#include "preload/loader_lock.h"
#include "preload/probe.h"
#include "preload/real_alloc.h"
#include "preload/recorder.h"
#include "preload/redirect.h"

namespace cgoprof {
namespace {

// All of them take the size, or the block, first, and what may follow (an alignment, a size, flags, std::nothrow) in
// two registers more: passed on as they are, whether they mean something or not.
using Allocate = void* (*)(size_t size, uintptr_t second, uintptr_t third);
using Reallocate = void* (*)(void* block, size_t second, uintptr_t third);
using Release = void (*)(void* block, uintptr_t second, uintptr_t third);

// Names of the Itanium C++ ABI: nw is new, na is new[]; m is size_t.
struct Allocation {
  const char* name;
  const char* undone_by;
};
constexpr Allocation kAllocations[] = {
    // Under names of the allocator's own only what a program's own operator new calls (mimalloc-new-delete.h), and
    // mallocx. There is much more, and hardly anybody calls it.
    {"mi_new", "mi_free"},
    {"mi_new_nothrow", "mi_free"},
    {"mi_new_aligned", "mi_free"},
    {"mi_new_aligned_nothrow", "mi_free"},
    {"tc_new", "tc_delete"},
    {"tc_new_nothrow", "tc_delete"},
    {"tc_new_aligned", "tc_delete_aligned"},
    {"tc_new_aligned_nothrow", "tc_delete_aligned"},
    {"tc_newarray", "tc_deletearray"},
    {"tc_newarray_nothrow", "tc_deletearray"},
    {"tc_newarray_aligned", "tc_deletearray_aligned"},
    {"tc_newarray_aligned_nothrow", "tc_deletearray_aligned"},
    {"mallocx", "dallocx"},
    // From here on, operators. The allocator's may call some of the above (mimalloc's nothrow ones do).
    {"_Znwm", "_ZdlPv"},
    {"_Znam", "_ZdaPv"},
    {"_ZnwmRKSt9nothrow_t", "_ZdlPv"},
    {"_ZnamRKSt9nothrow_t", "_ZdaPv"},
    {"_ZnwmSt11align_val_t", "_ZdlPvSt11align_val_t"},
    {"_ZnamSt11align_val_t", "_ZdaPvSt11align_val_t"},
    {"_ZnwmSt11align_val_tRKSt9nothrow_t", "_ZdlPvSt11align_val_t"},
    {"_ZnamSt11align_val_tRKSt9nothrow_t", "_ZdaPvSt11align_val_t"},
};

// libc's reallocarray comes to realloc. Those under names of the allocator's own are here because they may release what
// came from malloc.
struct Reallocation {
  const char* name;
  bool of_many;  // `second` counts what is `third` bytes each
};
constexpr Reallocation kReallocations[] = {
    {"reallocarray", true},
    {"rallocx", false},
    {"tc_realloc", false},
    {"mi_realloc", false},
};

// Those under names of the allocator's own are here because they may release what came from malloc or operator new.
constexpr const char* kReleases[] = {
    "_ZdlPv",
    "_ZdaPv",
    "_ZdlPvm",
    "_ZdaPvm",
    "_ZdlPvRKSt9nothrow_t",
    "_ZdaPvRKSt9nothrow_t",
    "_ZdlPvSt11align_val_t",
    "_ZdaPvSt11align_val_t",
    "_ZdlPvmSt11align_val_t",
    "_ZdaPvmSt11align_val_t",
    "_ZdlPvSt11align_val_tRKSt9nothrow_t",
    "_ZdaPvSt11align_val_tRKSt9nothrow_t",
    "cfree",
    "vfree",
    "tc_free",
    "tc_free_sized",
    "tc_cfree",
    "tc_delete",
    "tc_delete_sized",
    "tc_delete_nothrow",
    "tc_delete_aligned",
    "tc_delete_sized_aligned",
    "tc_delete_aligned_nothrow",
    "tc_deletearray",
    "tc_deletearray_sized",
    "tc_deletearray_nothrow",
    "tc_deletearray_aligned",
    "tc_deletearray_sized_aligned",
    "tc_deletearray_aligned_nothrow",
    "dallocx",
    "sdallocx",
    "mi_free",
    "mi_free_size",
    "mi_free_aligned",
    "mi_free_size_aligned",
    "mi_cfree",
};

constexpr size_t kOwnAllocationCount = [] {
  size_t count = 0;
  while (kAllocations[count].name[0] != '_') count++;
  return count;
}();
constexpr size_t kAllocationCount = sizeof(kAllocations) / sizeof(kAllocations[0]);
constexpr size_t kReallocationCount = sizeof(kReallocations) / sizeof(kReallocations[0]);
constexpr size_t kReleaseCount = sizeof(kReleases) / sizeof(kReleases[0]);

Allocate real_allocate[kAllocationCount];
Reallocate real_reallocate[kReallocationCount];
Release real_release[kReleaseCount];

template <size_t kIndex>
CGOPROF_SLOW void* SampledAllocate(size_t size, uintptr_t second, uintptr_t third) {
  CGOPROF_RETURN_RECORDED(real_allocate[kIndex](size, second, third), size);
}

template <size_t kIndex>
void* HookAllocate(size_t size, uintptr_t second, uintptr_t third) {
  if (CountDown(size)) return SampledAllocate<kIndex>(size, second, third);
  return real_allocate[kIndex](size, second, third);
}

template <size_t kIndex>
CGOPROF_SLOW void* SampledReallocate(void* block, size_t second, uintptr_t third, bool counted) {
  const size_t size = kReallocations[kIndex].of_many ? second * third : second;
  CGOPROF_RETURN_MOVED(real_reallocate[kIndex](block, second, third), block, size, counted);
}

template <size_t kIndex>
void* HookReallocate(void* block, size_t second, uintptr_t third) {
  size_t size = second;
  if (kReallocations[kIndex].of_many && __builtin_mul_overflow(second, third, &size))
    return real_reallocate[kIndex](block, second, third);
  const bool counted = CountDown(size);
  if (counted || MayBeSampled(block)) return SampledReallocate<kIndex>(block, second, third, counted);
  return real_reallocate[kIndex](block, second, third);
}

template <size_t kIndex>
CGOPROF_SLOW void SampledRelease(void* block, uintptr_t second, uintptr_t third) {
  ForgetBlock(block);
  real_release[kIndex](block, second, third);
  thread_state.released = nullptr;
}

template <size_t kIndex>
void HookRelease(void* block, uintptr_t second, uintptr_t third) {
  if (MayBeSampled(block)) return SampledRelease<kIndex>(block, second, third);
  real_release[kIndex](block, second, third);
}

// Names of an allocator's own, and what tells that a library is that allocator: anybody may have a tc_new.
struct Family {
  const char* prefix;
  const char* mark;
};
constexpr Family kFamilies[] = {
    {"vfree", "mi_version"}, {"mi_", "mi_version"},  {"tc_", "tc_version"},   {"mallocx", "mallctl"},
    {"rallocx", "mallctl"},  {"dallocx", "mallctl"}, {"sdallocx", "mallctl"},
};

const ElfW(Sym) * Find(const link_map& allocator, const char* name) {
  for (const Family& family : kFamilies) {
    const bool is_named_so = strncmp(name, family.prefix, strlen(family.prefix)) == 0;
    if (is_named_so && FindFunction(allocator, family.mark) == nullptr) return nullptr;
  }
  return FindFunction(allocator, name);
}

// What is to be redirected together: a step of its own costs a look at all mappings and all relocations.
class Redirections {
 public:
  template <auto kHook>
  void Add(const link_map& allocator, const ElfW(Sym) & function, const char* name, void* real) {
    all_[count_++] = {&allocator, &function, name, real, Resolve<kHook>(), &Resolve<kHook>};
  }
  bool Redirect() const { return count_ == 0 || RedirectCalls(all_, count_); }

 private:
  template <auto kHook>
  static void* Resolve() {
    return reinterpret_cast<void*>(kHook);
  }

  Redirection all_[kAllocationCount + kReallocationCount + kReleaseCount];
  size_t count_ = 0;
};

template <size_t kIndex>
void PrepareRelease(const link_map& allocator, Redirections* found) {
  const ElfW(Sym)* const function = Find(allocator, kReleases[kIndex]);
  if (function == nullptr) return;
  void* const real = UnredirectedAddress(allocator, *function);
  real_release[kIndex] = reinterpret_cast<Release>(real);
  found->Add<&HookRelease<kIndex>>(allocator, *function, kReleases[kIndex], real);
}

template <size_t kIndex>
void PrepareReallocation(const link_map& allocator, Redirections* found) {
  const ElfW(Sym)* const function = Find(allocator, kReallocations[kIndex].name);
  if (function == nullptr) return;
  void* const address = UnredirectedAddress(allocator, *function);
  const Reallocate reallocate = reinterpret_cast<Reallocate>(address);
  if (ReachesAHook([=] { real.free(reallocate(real.malloc(8), 512, 1)); })) return;
  real_reallocate[kIndex] = reallocate;
  found->Add<&HookReallocate<kIndex>>(allocator, *function, kReallocations[kIndex].name, address);
}

template <size_t kIndex>
void PrepareAllocation(const link_map& allocator, Redirections* found) {
  const ElfW(Sym)* const function = Find(allocator, kAllocations[kIndex].name);
  const ElfW(Sym)* const undoing = Find(allocator, kAllocations[kIndex].undone_by);
  if (function == nullptr || undoing == nullptr) return;
  void* const real = UnredirectedAddress(allocator, *function);
  const Allocate allocate = reinterpret_cast<Allocate>(real);
  const Release release = reinterpret_cast<Release>(UnredirectedAddress(allocator, *undoing));
  // As jemalloc's operator new does for large alignments: hooked as well, it would count twice.
  constexpr size_t kSize = 64;  // bytes; also for the alignment, and for the address that std::nothrow goes by
  if (ReachesAHook([=] { release(allocate(kSize, kSize, kSize), kSize, kSize); })) return;
  real_allocate[kIndex] = allocate;
  found->Add<&HookAllocate<kIndex>>(allocator, *function, kAllocations[kIndex].name, real);
}

template <size_t... kIndexes>
bool HookReleases(const link_map& allocator, std::index_sequence<kIndexes...>) {
  Redirections found;
  (PrepareRelease<kIndexes>(allocator, &found), ...);
  return found.Redirect();
}

template <size_t... kIndexes>
bool HookReallocations(const link_map& allocator, std::index_sequence<kIndexes...>) {
  Redirections found;
  (PrepareReallocation<kIndexes>(allocator, &found), ...);
  return found.Redirect();
}

template <size_t kFirst, size_t... kIndexes>
bool HookAllocations(const link_map& allocator, std::index_sequence<kIndexes...>) {
  Redirections found;
  (PrepareAllocation<kFirst + kIndexes>(allocator, &found), ...);
  return found.Redirect();
}

bool HasReleases(const link_map& library) {
  for (const char* name : kReleases) {
    if (Find(library, name) != nullptr) return true;
  }
  return false;
}

// Where malloc leads to. What has nothing but malloc only passes on to the next; libc is the last, and has none of
// these.
const link_map* FindAllocator() {
  LibraryRange libraries = RealLibraries();
  const link_map* library;
  while ((library = FindFirst(libraries, "malloc").library) != nullptr) {
    if (FindFunction(*library, "__libc_start_main") != nullptr) break;
    if (HasReleases(*library)) return library;
    libraries.first = library->l_next;
  }
  return nullptr;
}

}  // namespace

bool AllocatorHasFunctions() { return FindAllocator() != nullptr; }

void HookAllocatorFunctions() {
  const link_map* allocator = nullptr;  // never unloaded
  const auto find = [](void* found) { *static_cast<const link_map**>(found) = FindAllocator(); };
  // In a constructor nobody else is at work on the libraries.
  if (!IsAttached())
    find(&allocator);
  else
    UnderLoaderLock(find, &allocator);
  if (allocator == nullptr) return;
  // The releases first: a block whose allocation is recorded must not go past them. Then from the innermost out, so
  // that whatever comes to one that is hooked already is found to do so, and not hooked as well.
  if (HookReleases(*allocator, std::make_index_sequence<kReleaseCount>()) &&
      HookReallocations(*allocator, std::make_index_sequence<kReallocationCount>()) &&
      HookAllocations<0>(*allocator, std::make_index_sequence<kOwnAllocationCount>())) {
    constexpr size_t kOperatorCount = kAllocationCount - kOwnAllocationCount;
    HookAllocations<kOwnAllocationCount>(*allocator, std::make_index_sequence<kOperatorCount>());
  }
}

}  // namespace cgoprof
