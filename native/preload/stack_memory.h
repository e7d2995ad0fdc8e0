// Loads from a thread's C stack that cannot fault.
//
// Call frame information that is wrong, or a stack that somebody cut out of the heap, can lead a walk off the mapped
// stack. So a walk reads only inside a window that begins with the page of SP, which is mapped by definition: on the
// stack the thread was born with it reaches to the upper end of that, on any other stack (a coroutine's, a signal
// stack) to the end of the page, and each further page is asked for (one system call).
//
// The stack a thread was born with: on the main thread it ends at __libc_stack_end; every other thread of glibc has its
// thread control block, where the thread pointer points, at the upper end of its stack.
#ifndef CGOPROF_PRELOAD_STACK_MEMORY_H_
#define CGOPROF_PRELOAD_STACK_MEMORY_H_

#include <stdint.h>

namespace cgoprof {

// Words that may be read: those from `start` to `last`. Not empty.
struct StackWindow {
  uintptr_t start;
  uintptr_t last;
};

// What is remembered per thread (in thread-local storage; starts as zeros). A signal handler may come between any two
// changes of it, and change it too: each field is true without the others.
struct HomeStack {
  uintptr_t end;     // of the stack that the thread was born with; 0: not looked up yet
  uintptr_t low;     // from here to `end` all was readable once, and is as long as SP is there; 0: not known
  uint8_t attempts;  // at finding `low`
};

// For a walk on a stack that is not the thread's own.
inline constexpr HomeStack kNoHome = {1, 0, 0};

class StackMemory {
 public:
  // `sp` is the current stack pointer of the walking thread, or above it on the same stack.
  StackMemory(uintptr_t sp, HomeStack* home);

  const StackWindow& window() const { return window_; }

  // The word at `address`; false if it may not be read or is not aligned.
  bool Load(uintptr_t address, uintptr_t* value) {
    const bool inside = address >= window_.start && address <= window_.last && (address & 7) == 0;
    if (!inside && !Extend(address)) return false;
    *value = *reinterpret_cast<const uintptr_t*>(address);
    return true;
  }

 private:
  bool Extend(uintptr_t address);
  StackWindow window_;
};

}  // namespace cgoprof

#endif  // CGOPROF_PRELOAD_STACK_MEMORY_H_
