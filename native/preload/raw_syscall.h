// System calls that leave errno alone. The recorder runs inside malloc and free, whose callers rely on errno; libc's
// wrappers write it, and some of them are cancellation points.
#ifndef CGOPROF_PRELOAD_RAW_SYSCALL_H_
#define CGOPROF_PRELOAD_RAW_SYSCALL_H_

#include <stdint.h>
#include <sys/syscall.h>

namespace cgoprof {

// Returns the kernel's answer: >= 0, or -errno.
inline long RawSyscall(long number, long a = 0, long b = 0, long c = 0, long d = 0, long e = 0, long f = 0) {
#if defined(__x86_64__)
  long result = number;
  register long r10 __asm__("r10") = d;
  register long r8 __asm__("r8") = e;
  register long r9 __asm__("r9") = f;
  __asm__ volatile("syscall"
                   : "+a"(result)
                   : "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                   : "rcx", "r11", "memory");
  return result;
#else
#error "no raw system call for this architecture"
#endif
}

inline long PointerArg(const void* pointer) { return static_cast<long>(reinterpret_cast<uintptr_t>(pointer)); }

// True for the kernel's error range; mmap's addresses are never in it.
inline bool IsError(long result) { return result < 0 && result >= -4095; }

}  // namespace cgoprof

#endif  // CGOPROF_PRELOAD_RAW_SYSCALL_H_
