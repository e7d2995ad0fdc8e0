#include "addon/own_allocator.h"

#include <malloc.h>

namespace cgoprof {

// By default glibc raises the bound up to 32 MiB, as soon as blocks above it are freed; they stay with the heap then.
constexpr int kMmapThreshold = 256 << 10;

void KeepAllocatorSmall() { mallopt(M_MMAP_THRESHOLD, kMmapThreshold); }

}  // namespace cgoprof
