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

uintptr_t FindEnd() {
  const bool main_thread = RawSyscall(SYS_gettid) == RawSyscall(SYS_getpid);
  if (main_thread) return reinterpret_cast<uintptr_t>(__libc_stack_end) & ~uintptr_t{7};
  return reinterpret_cast<uintptr_t>(__builtin_thread_pointer());
}

// Whether `sp` is on the stack that ends at `end`, all of which from there on may be read.
bool IsHome(uintptr_t sp, uintptr_t end, HomeStack* home) {
  const uintptr_t low = __atomic_load_n(&home->low, __ATOMIC_RELAXED);
  if (sp >= end) return false;
  if (low != 0 && sp >= low) return true;
  const uintptr_t known = low != 0 ? low : end;
  if (known - sp > kMostHomeBytes) return false;
  if (low == 0 && home->attempts++ >= kMostAttempts) return false;
  if (!IsRangeReadable(sp, known)) return false;
  __atomic_store_n(&home->low, PageOf(sp), __ATOMIC_RELAXED);
  return true;
}

}  // namespace

StackMemory::StackMemory(uintptr_t sp, HomeStack* home) {
  uintptr_t end = home->end;
  if (end == 0) home->end = end = FindEnd();
  // The word below sp is the return address that was just used, so its page is there.
  window_.start = PageOf(sp - sizeof(uintptr_t));
  window_.last = (IsHome(sp, end, home) ? end : window_.start + kProbePage) - sizeof(uintptr_t);
}

bool StackMemory::Extend(uintptr_t address) {
  const uintptr_t high = window_.last + sizeof(uintptr_t);
  if ((address & 7) != 0 || address < high || address - high > kMostWalkBytes) return false;
  const uintptr_t page_end = PageOf(address) + kProbePage;
  if (!IsRangeReadable(high, page_end)) return false;
  window_.last = page_end - sizeof(uintptr_t);
  return true;
}

}  // namespace cgoprof
