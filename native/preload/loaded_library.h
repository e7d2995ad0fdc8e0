// The functions that the loaded libraries define, read from their symbol tables where they lie in memory, by our own
// code and not by dlsym: that takes the loader's lock and, in older glibc, calls calloc. May be used while the loader
// is still at work, but not while another thread may unload a library.
#ifndef CGOPROF_PRELOAD_LOADED_LIBRARY_H_
#define CGOPROF_PRELOAD_LOADED_LIBRARY_H_

#include <elf.h>
#include <link.h>
#include <stdint.h>

namespace cgoprof {

// The dynamic symbol table of one loaded library.
struct SymbolTable {
  const ElfW(Sym) * symbols;
  const char* strings;
  const uint32_t* gnu_hash;
  const uint32_t* sysv_hash;
  const uint16_t* versions;
};

SymbolTable ReadSymbolTable(const link_map& library);

// An address as the library's dynamic section has it. glibc relocates those, except where the section is read-only, as
// the vDSO's is. Relocated is what lies near the section itself: all that the loader reads fits into 2 GiB, and a
// library lies where it was linked to lie, or further away than that. (By how much may be below zero: l_addr is a
// difference.)
template <typename T>
T* DynamicAddress(const link_map& library, uintptr_t value) {
  constexpr uintptr_t kNear = uintptr_t{1} << 31;
  const bool is_relocated = value - reinterpret_cast<uintptr_t>(library.l_ld) + kNear < 2 * kNear;
  return reinterpret_cast<T*>(is_relocated ? value : value + library.l_addr);
}

// A function that the library defines and shows to others; nullptr if it does not.
const ElfW(Sym) * FindFunction(const link_map& library, const char* name);

// The version of that function that is kept for old programs, where it begins at the same place; or nullptr.
const ElfW(Sym) * FindOldVersion(const link_map& library, const ElfW(Sym) & function);

// Where that function begins. Asks its resolver, where the symbol's address is that of one (STT_GNU_IFUNC).
void* FunctionAddress(const link_map& library, const ElfW(Sym) & function);

struct FoundFunction {
  const link_map* library;  // nullptr: nobody defines it
  const ElfW(Sym) * symbol;
};

// Loaded libraries in load order, which is the search order, without `end`.
struct LibraryRange {
  const link_map* first;
  const link_map* end;  // nullptr: to the last one
};

// A function in the first library of those that defines it.
FoundFunction FindFirst(const LibraryRange& libraries, const char* name);

// Our own.
const link_map* OwnLibrary();

}  // namespace cgoprof

#endif  // CGOPROF_PRELOAD_LOADED_LIBRARY_H_
