// See safe_point.h.
#include "addon/safe_point.h"

#include <linux/futex.h>
#include <sys/syscall.h>

#include <algorithm>
#include <iterator>

namespace cgoprof {
namespace {

// Of malloc's arenas but the first, glibc's malloc/arena.c: each begins a heap, at a multiple of this, with its locks.
constexpr uint64_t kHeapBytes = 64 << 20;
constexpr uint64_t kHeapHeadBytes = 4096;

// Sleeping is best: nobody expects anything of the thread. Then those that wait for events, then input.
constexpr int64_t kSleeps[] = {SYS_nanosleep, SYS_clock_nanosleep, SYS_pause, SYS_rt_sigsuspend, SYS_restart_syscall};
constexpr int64_t kEvents[] = {SYS_epoll_wait, SYS_epoll_pwait, 441 /* epoll_pwait2 */, SYS_poll, SYS_ppoll,
                               SYS_select,     SYS_pselect6};
constexpr int64_t kInput[] = {SYS_read,    SYS_readv,           SYS_recvfrom, SYS_recvmsg, SYS_accept,
                              SYS_accept4, SYS_rt_sigtimedwait, SYS_wait4,    SYS_waitid};

template <size_t kCount>
bool IsOneOf(const int64_t (&numbers)[kCount], int64_t number) {
  return std::find(std::begin(numbers), std::end(numbers), number) != std::end(numbers);
}

bool IsFutexWait(const ParkedCall& call) {
  const uint64_t operation = call.arguments[1] & FUTEX_CMD_MASK;
  return call.number == SYS_futex && (operation == FUTEX_WAIT || operation == FUTEX_WAIT_BITSET);
}

bool IsInAllocatorOrLoader(const SafePoints& points, uint64_t address) {
  return std::any_of(points.allocator_and_loader.begin(), points.allocator_and_loader.end(),
                     [&](const AddressRange& range) { return range.Contains(address); });
}

// Whether a lock of the allocator's or the loader's may lie there. (Nothing lies on the first page: what is called an
// address here may be any argument of a call that is being gone on with.)
bool MayBeTheirLock(const SafePoints& points, uint64_t address) {
  if (address < kHeapHeadBytes) return false;
  return !points.libc_allocates || address % kHeapBytes < kHeapHeadBytes || IsInAllocatorOrLoader(points, address);
}

// restart_syscall goes on with a call that was interrupted: with futex, perhaps.
bool MayWaitForTheirLock(const SafePoints& points, const ParkedCall& call) {
  const bool may_be_futex = IsFutexWait(call) || call.number == SYS_restart_syscall;
  return may_be_futex && MayBeTheirLock(points, call.arguments[0]);
}

}  // namespace

int RankSafePoint(const SafePoints& points, const ParkedCall& call) {
  const RemoteMapping* const code = FindMapping(points.mappings, call.pc);
  if (code == nullptr || !code->executable) return -1;
  const bool is_go = points.is_go(call.pc);
  if (!is_go && MayWaitForTheirLock(points, call)) return -1;
  const int base = is_go ? 0 : 10;
  if (is_go && IsFutexWait(call)) return base;
  if (IsOneOf(kSleeps, call.number)) return base + 1;
  if (!is_go && IsFutexWait(call)) return base + 2;
  if (IsOneOf(kEvents, call.number)) return base + 3;
  if (IsOneOf(kInput, call.number)) return base + 4;
  return -1;
}

bool IsOnSystemStack(const std::vector<RemoteMapping>& mappings, uint64_t sp, uint64_t fs_base, uint64_t room) {
  const RemoteMapping* const stack = FindMapping(mappings, sp);
  if (stack == nullptr || !stack->writable || !stack->readable || sp - stack->start < room) return false;
  return stack->path == "[stack]" || (fs_base > sp && stack->Contains(fs_base));
}

}  // namespace cgoprof
