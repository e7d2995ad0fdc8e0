// See stack_memory.h.
#include "preload/stack_memory.h"

#include "preload/raw_syscall.h"
#include "preload/readable.h"

// Set by the dynamic loader: the main thread's stack pointer at the program's entry.
extern "C" void* __libc_stack_end;

namespace cgoprof {
namespace {

constexpr uintptr_t kMostHomeBytes = 256 << 10;  // probed for one thread; deeper stacks are read page by page
constexpr uintptr_t kMostWalkBytes = 4 << 20;    // in one step: the largest frame that call frame information may have
constexpr uint8_t kMostAttempts = 4;

uintptr_t PageOf(uintptr_t address) { return address & ~(kProbePage - 1); }

uintptr_t HomeEnd() {
  const bool main_thread = RawSyscall(SYS_gettid) == RawSyscall(SYS_getpid);
  if (main_thread) return reinterpret_cast<uintptr_t>(__libc_stack_end) & ~uintptr_t{7};
  return reinterpret_cast<uintptr_t>(__builtin_thread_pointer());
}

// Works out the window of the thread's own stack; leaves `home` alone if sp is not on it.
void FindHome(uintptr_t sp, HomeStack* home) {
  home->attempts++;
  const uintptr_t end = HomeEnd();
  if (sp >= end || end - sp > kMostHomeBytes || !IsRangeReadable(sp, end)) return;
  home->low = PageOf(sp);
  home->high = end;
}

}  // namespace

StackMemory::StackMemory(uintptr_t sp, HomeStack* home) {
  if (home->high == 0 && home->attempts < kMostAttempts) FindHome(sp, home);
  if (sp < home->low && home->low - sp <= kMostHomeBytes && IsRangeReadable(sp, home->low)) home->low = PageOf(sp);
  if (sp >= home->low && sp < home->high) {
    window_ = {home->low, home->high - home->low - sizeof(uintptr_t)};
  } else {
    // The word below sp is the return address that was just used, so its page is there.
    window_ = {PageOf(sp - 8), kProbePage - sizeof(uintptr_t)};
  }
}

bool StackMemory::Extend(uintptr_t address) {
  const uintptr_t high = window_.start + window_.last + sizeof(uintptr_t);
  if ((address & 7) != 0 || address < high || address - high > kMostWalkBytes) return false;
  const uintptr_t page_end = PageOf(address) + kProbePage;
  if (!IsRangeReadable(high, page_end)) return false;
  window_.last = page_end - window_.start - sizeof(uintptr_t);
  return true;
}

}  // namespace cgoprof
