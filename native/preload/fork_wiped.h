// The state that a forked child must not inherit, in pages that the kernel hands to the child zeroed
// (MADV_WIPEONFORK). That holds for fork, _Fork and a raw clone alike, needs no atfork handler, and makes "off" the
// state in which a child finds itself:
//
//   - `recording` reads 0, so its allocations are not recorded;
//   - `filter` reads 0, so every free misses and nothing looks into the live set, whose memory the child does not have.
//
// A vfork child shares the parent's memory and sees the parent's values, which is right: its frees are the parent's.
#ifndef CGOPROF_PRELOAD_FORK_WIPED_H_
#define CGOPROF_PRELOAD_FORK_WIPED_H_

#include <stddef.h>
#include <stdint.h>

namespace cgoprof {

inline constexpr int kFilterBits = 18;
inline constexpr size_t kFilterBytes = size_t{1} << kFilterBits;  // fits a core's second-level cache
inline constexpr size_t kLargestPage = 64 << 10;                  // arm64 kernels may use 64 KiB pages

struct alignas(kLargestPage) ForkWiped {
  // How many live samples belong to each byte; a byte that reached 255 stays there. So 0 means: surely not sampled.
  uint8_t filter[kFilterBytes];
  uint32_t recording;
  uint8_t padding[kLargestPage - sizeof(uint32_t)];
};
static_assert(sizeof(ForkWiped) == kFilterBytes + kLargestPage);

// Spreads addresses evenly over 64 bits; the top bits are the good ones (Fibonacci hashing).
inline uint64_t HashAddress(uint64_t address) { return address * 0x9E3779B97F4A7C15ull; }

// The filter's byte for a block, by all bits of its address: allocators of size classes hand out addresses of which
// some bits hardly change.
inline size_t FilterIndex(uint64_t address) { return HashAddress(address) >> (64 - kFilterBits); }

// Asks the kernel to wipe the pages on fork; false before Linux 4.14.
bool WipeOnFork(ForkWiped* state);

}  // namespace cgoprof

#endif  // CGOPROF_PRELOAD_FORK_WIPED_H_
