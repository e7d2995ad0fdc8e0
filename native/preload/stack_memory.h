// Loads from a thread's C stack that cannot fault.
//
// Call frame information that is wrong, or a stack that somebody cut out of the heap, can lead a walk off the mapped
// stack. So a walk reads only inside a window of pages that are known to be readable: for the stack the thread was born
// with, the window is worked out once per thread and kept; on any other stack (a coroutine's, a signal stack) it starts
// at the page of SP, which is mapped by definition, and each further page is asked for (one system call).
//
// The stack a thread was born with: on the main thread it ends at __libc_stack_end; every other thread of glibc has its
// thread control block, where the thread pointer points, at the upper end of its stack.
#ifndef CGOPROF_PRELOAD_STACK_MEMORY_H_
#define CGOPROF_PRELOAD_STACK_MEMORY_H_

#include <stdint.h>

namespace cgoprof {

// Memory that may be read; not empty, and its ends are those of words.
struct StackWindow {
  uintptr_t start;
  uintptr_t last;  // offset of the last word

  // The word at an offset that is not above `last`.
  uintptr_t Word(uintptr_t offset) const { return *reinterpret_cast<const uintptr_t*>(start + offset); }
};
inline bool operator==(const StackWindow& a, const StackWindow& b) { return a.start == b.start && a.last == b.last; }

// What is remembered per thread (in thread-local storage; starts as zeros).
struct HomeStack {
  uintptr_t low;  // [low, high) is readable until the thread ends; high 0: not known
  uintptr_t high;
  uint8_t attempts;  // at finding out
};

class StackMemory {
 public:
  // `sp` is the current stack pointer of the walking thread, or above it on the same stack.
  StackMemory(uintptr_t sp, HomeStack* home);

  const StackWindow& window() const { return window_; }

  // The word at `address`; false if it may not be read or is not aligned.
  bool Load(uintptr_t address, uintptr_t* value) {
    if (__builtin_expect(address - window_.start > window_.last || (address & 7) != 0, 0) && !Extend(address)) {
      return false;
    }
    *value = *reinterpret_cast<const uintptr_t*>(address);
    return true;
  }

 private:
  bool Extend(uintptr_t address);
  StackWindow window_;
};

}  // namespace cgoprof

#endif  // CGOPROF_PRELOAD_STACK_MEMORY_H_
