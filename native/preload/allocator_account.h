// How much the program has in use, by its allocator's own account.
#ifndef CGOPROF_PRELOAD_ALLOCATOR_ACCOUNT_H_
#define CGOPROF_PRELOAD_ALLOCATOR_ACCOUNT_H_

#include <stdint.h>

namespace cgoprof {

// Bytes in blocks that the program has, with what the allocator needs around them; kUnknownBytes where it gives no such
// account. Takes the allocator's locks.
uint64_t BytesInUse();

}  // namespace cgoprof

#endif  // CGOPROF_PRELOAD_ALLOCATOR_ACCOUNT_H_
