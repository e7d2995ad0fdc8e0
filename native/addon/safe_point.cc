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
constexpr int64_t kSleeps[] = {SYS_nanosleep, SYS_clock_nanosleep, SYS_pause, SYS_restart_syscall};
constexpr int64_t kInput[] = {SYS_read,   SYS_readv,   SYS_recvfrom,        SYS_recvmsg, SYS_poll,  SYS_select,
                              SYS_accept, SYS_accept4, SYS_rt_sigtimedwait, SYS_wait4,   SYS_waitid};

// Those that wait for events, and which argument is what. A signal mask for the time of the call is not given back by
// kernels before 5.1 where somebody traces the thread. After a time limit that the kernel keeps no account of, the call
// is begun again with all of its time.
struct EventCall {
  int64_t number;
  int mask;   // -1: none
  int limit;  // -1: none, or one that the kernel keeps account of
  bool limit_is_pointer;
};
constexpr int64_t kEpollPwait2 = 441;
constexpr EventCall kEvents[] = {{SYS_epoll_wait, -1, 3, false},
                                 {SYS_epoll_pwait, 4, 3, false},
                                 {kEpollPwait2, 4, 3, true},
                                 {SYS_ppoll, 3, -1, false},
                                 {SYS_pselect6, 5, -1, false}};

template <size_t kCount>
bool IsOneOf(const int64_t (&numbers)[kCount], int64_t number) {
  return std::find(std::begin(numbers), std::end(numbers), number) != std::end(numbers);
}

bool IsFutexWait(const ParkedCall& call) {
  const uint64_t operation = call.arguments[1] & FUTEX_CMD_MASK;
  return call.number == SYS_futex && (operation == FUTEX_WAIT || operation == FUTEX_WAIT_BITSET);
}

// Whether a lock of the allocator's or the loader's may lie there. (Nothing lies on the first page: what is called an
// address here may be any argument of a call that is being gone on with.)
bool MayBeTheirLock(const SafePoints& points, uint64_t address) {
  if (address < kHeapHeadBytes) return false;
  // Where another allocator's locks lie is not known.
  return !points.other_allocators.empty() || address % kHeapBytes < kHeapHeadBytes || points.libc.Contains(address) ||
         points.loader.Contains(address);
}

bool IsOnOwnStack(const SafePoints& points, const ParkedCall& call) {
  const RemoteMapping* const stack = FindMapping(points.mappings, call.sp);
  return stack != nullptr && stack->Contains(call.arguments[0]);
}

// restart_syscall goes on with a call that was interrupted: with futex, perhaps.
bool MayWaitForTheirLock(const SafePoints& points, const ParkedCall& call) {
  if (IsFutexWait(call)) return MayBeTheirLock(points, call.arguments[0]) || IsOnOwnStack(points, call);
  return call.number == SYS_restart_syscall && MayBeTheirLock(points, call.arguments[0]);
}

enum class EventWait { kNone, kGood, kMayGrow };

EventWait LookAtEvents(const ParkedCall& call) {
  for (const EventCall& one : kEvents) {
    if (one.number != call.number) continue;
    if (one.mask >= 0 && call.arguments[one.mask] != 0) return EventWait::kNone;
    if (one.limit < 0) return EventWait::kGood;
    const uint64_t limit = call.arguments[one.limit];
    const bool is_endless = one.limit_is_pointer ? limit == 0 : static_cast<int32_t>(limit) < 0;
    return is_endless ? EventWait::kGood : EventWait::kMayGrow;
  }
  return EventWait::kNone;
}

bool Holds(const std::vector<AddressRange>& ranges, uint64_t address) {
  return std::any_of(ranges.begin(), ranges.end(), [&](const AddressRange& range) { return range.Contains(address); });
}

}  // namespace

int RankSafePoint(const SafePoints& points, const ParkedCall& call) {
  const RemoteMapping* const code = FindMapping(points.mappings, call.pc);
  if (code == nullptr || !code->executable || points.loader.Contains(call.pc) ||
      Holds(points.other_allocators, call.pc)) {
    return -1;
  }
  const bool is_go = points.is_go(call.pc);
  if (!is_go && MayWaitForTheirLock(points, call)) return -1;
  const int base = is_go ? 0 : 10;
  if (is_go && IsFutexWait(call)) return base;
  if (IsOneOf(kSleeps, call.number)) return base + 1;
  if (!is_go && IsFutexWait(call)) return base + 2;
  const EventWait events = LookAtEvents(call);
  if (events == EventWait::kGood) return base + 3;
  if (IsOneOf(kInput, call.number)) return base + 4;
  return events == EventWait::kMayGrow ? base + 5 : -1;
}

bool BeginsAgain(const SafePoints& points, uint64_t pc) { return !points.is_go(pc); }

AddressRange UsedSystemStack(const std::vector<RemoteMapping>& mappings, uint64_t sp, uint64_t fs_base, uint64_t room) {
  const RemoteMapping* const stack = FindMapping(mappings, sp);
  if (stack == nullptr || !stack->writable || !stack->readable || sp - stack->start < room) return {};
  if (stack->path == "[stack]") return {sp, stack->end};
  if (stack->inode != 0 || fs_base <= sp || !stack->Contains(fs_base)) return {};
  // Where the stack begins is seen by the guard below it. Without one so little of it must be in use that the smallest
  // stack has the room.
  constexpr uint64_t kLittle = 16 << 10;
  const RemoteMapping* const below = FindMapping(mappings, stack->start - 1);
  const bool has_guard = below != nullptr && !below->readable && !below->writable && !below->executable;
  return has_guard || fs_base - sp <= kLittle ? AddressRange{sp, fs_base} : AddressRange{};
}

bool SpeaksAgainst(const SafePoints& points, const std::vector<uint64_t>& words) {
  constexpr size_t kNear = 128;
  const auto near_end = words.begin() + static_cast<ptrdiff_t>(std::min(words.size(), kNear));
  const auto is_restorer = [&](uint64_t word) { return Holds(points.code, word) && points.is_restorer(word); };
  return std::any_of(words.begin(), words.end(), is_restorer) ||
         std::any_of(words.begin(), near_end, [&](uint64_t word) { return Holds(points.other_allocators, word); });
}

}  // namespace cgoprof
