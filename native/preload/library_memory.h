// Reads what loaded libraries have in memory. Where a library's file was cut short since, pages of it are gone, and a
// load would end the process by SIGBUS; so the kernel is asked about each page first.
//
// It is asked once a pass: a file that is overwritten within the milliseconds of one can end the process all the same,
// as can any call into that library.
#ifndef CGOPROF_PRELOAD_LIBRARY_MEMORY_H_
#define CGOPROF_PRELOAD_LIBRARY_MEMORY_H_

#include <stddef.h>
#include <stdint.h>

namespace cgoprof {

// The libraries were loaded long ago. Until that is said nothing is asked: a program that starts has just read them.
void DistrustLibraries();

class LibraryMemory {
 public:
  LibraryMemory();

  // Whether all `bytes` at `address` can be read.
  bool Has(uint64_t address, uint64_t bytes);

  template <typename Value>
  bool Read(uint64_t address, Value* value) {
    if (!Has(address, sizeof(*value))) return false;
    __builtin_memcpy(value, reinterpret_cast<const void*>(address), sizeof(*value));
    return true;
  }

  // Whether the text lies there, with its NUL.
  bool HasText(uint64_t address, const char* text);

 private:
  // Pages found readable, by the lowest bits of their number: relocations come in the order of their symbols, and jump
  // to and fro.
  static constexpr size_t kPages = 512;
  static constexpr uint64_t kNone = 1;
  uint64_t pages_[kPages];
};

}  // namespace cgoprof

#endif  // CGOPROF_PRELOAD_LIBRARY_MEMORY_H_
