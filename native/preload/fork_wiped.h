// The state that a forked child must not inherit, in pages that the kernel hands to the child zeroed
// (MADV_WIPEONFORK). That holds for fork, _Fork and a raw clone alike, needs no atfork handler, and makes "off" the
// state in which a child finds itself:
//
//   - `recording` reads kNotStarted, so its allocations are not recorded;
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

inline constexpr uint8_t kSaturated = 255;  // stays, see ForkWiped::filter

enum RecordingState : uint32_t {
  kNotStarted = 0,  // the recorder has no segment, or one of the parent process
  kAwaiting,        // it has one; the hooks are being put in place, and whoever comes to one stays due
  kRecording,
  kPaused,    // because the tool wished it; the hooks look whether it still does
  kDetached,  // the hooks were taken out; who has the address of one still comes
};

struct alignas(kLargestPage) ForkWiped {
  // How many live samples belong to each byte; a byte that reached kSaturated stays there. So 0: surely not sampled.
  uint8_t filter[kFilterBytes];
  uint32_t recording;       // RecordingState
  uint32_t starting;        // a thread starts the recorder on request
  uint32_t attaching;       // AttachTurn, in attach_run.cc
  uint32_t attach_turns;    // how many there were
  uint32_t holding_loader;  // a thread is under the loader's lock, see loader_lock.h
  uint32_t forks;           // that are under way
  uint8_t padding[kLargestPage - 6 * sizeof(uint32_t)];
};
static_assert(sizeof(ForkWiped) == kFilterBytes + kLargestPage);

// Hidden, so that the hot path reaches it without a look into the global offset table.
extern __attribute__((visibility("hidden"))) ForkWiped fork_wiped;

// Spreads addresses evenly over 64 bits; the top bits are the good ones (Fibonacci hashing).
inline uint64_t HashAddress(uint64_t address) { return address * 0x9E3779B97F4A7C15ull; }

// The filter's byte for a block, by all bits of its address: allocators of size classes hand out addresses of which
// some bits hardly change.
inline size_t FilterIndex(uint64_t address) { return HashAddress(address) >> (64 - kFilterBits); }

// Asks the kernel to wipe the pages on fork; false before Linux 4.14.
bool WipeOnFork(ForkWiped* state);

}  // namespace cgoprof

#endif  // CGOPROF_PRELOAD_FORK_WIPED_H_
