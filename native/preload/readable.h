// Asks the kernel whether memory can be read, so that an unwinder that went astray finds out without a SIGSEGV.
#ifndef CGOPROF_PRELOAD_READABLE_H_
#define CGOPROF_PRELOAD_READABLE_H_

#include <stdint.h>

namespace cgoprof {

inline constexpr uintptr_t kProbePage = 4096;

// True if the 8 bytes at `address` (aligned to 8) can be read now. Costs one system call, changes nothing, may be used
// in signal handlers. Another thread may unmap the page right after; callers use it for memory that only a confused
// walk would reach.
bool IsReadable(uintptr_t address);

// True if every page that [start, end) touches can be read now.
bool IsRangeReadable(uintptr_t start, uintptr_t end);

// The pages of loaded libraries, which are gone where the file was cut short since: a load would end the process by
// SIGBUS. Each page is asked for when it is come to, and not again before another was.
class LibraryMemory {
 public:
  bool IsReadable(uint64_t address, uint64_t bytes);

  template <typename Value>
  bool Read(uint64_t address, Value* value) {
    if (!IsReadable(address, sizeof(*value))) return false;
    __builtin_memcpy(value, reinterpret_cast<const void*>(address), sizeof(*value));
    return true;
  }

  // Whether the text lies there, with its NUL.
  bool HasText(uint64_t address, const char* text);

 private:
  static constexpr uint64_t kNone = 1;
  uint64_t page_ = kNone;  // found readable last
};

}  // namespace cgoprof

#endif  // CGOPROF_PRELOAD_READABLE_H_
