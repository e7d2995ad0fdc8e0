// What another allocator (tcmalloc, jemalloc, mimalloc) defines beside the malloc family and serves by itself: C++'s
// operators new and delete, and functions under names of its own.
//
// libc has none of these that would not come to malloc or realloc, and libstdc++'s operators call malloc; so in most
// programs there is nothing to do here, and nothing is changed.
#ifndef CGOPROF_PRELOAD_ALLOCATOR_FUNCTIONS_H_
#define CGOPROF_PRELOAD_ALLOCATOR_FUNCTIONS_H_

namespace cgoprof {

// Whether the allocator that the malloc hook leads to has any.
bool AllocatorHasFunctions();

// Hooks those. To be called from a constructor, or where the hooks come into a process that runs already, after
// malloc's own and before anything is recorded.
void HookAllocatorFunctions();

}  // namespace cgoprof

#endif  // CGOPROF_PRELOAD_ALLOCATOR_FUNCTIONS_H_
