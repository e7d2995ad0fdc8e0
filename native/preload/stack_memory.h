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

  // Whether the word at `address`, which is aligned, lies in the window.
  bool Has(uintptr_t address) const { return address - low_ <= size_ - sizeof(uintptr_t); }

  // The word at `address`; false if it may not be read or is not aligned.
  bool Load(uintptr_t address, uintptr_t* value) {
    if (__builtin_expect(address - low_ > size_ - sizeof(uintptr_t) || (address & 7) != 0, 0) && !Extend(address)) {
      return false;
    }
    *value = *reinterpret_cast<const uintptr_t*>(address);
    return true;
  }

 private:
  bool Extend(uintptr_t address);
  uintptr_t low_;
  uintptr_t size_;
};

}  // namespace cgoprof

#endif  // CGOPROF_PRELOAD_STACK_MEMORY_H_
