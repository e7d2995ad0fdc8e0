// The functions that the loaded libraries define, read from their symbol tables where they lie in memory, by our own
// code and not by dlsym: that takes the loader's lock and, in older glibc, calls calloc. May be used while the loader
// is still at work, but not while another thread may unload a library.
//
// A library's file may have been overwritten since it was loaded, and its memory with it: what is looked at may be
// gone, or anything. What is found in libraries that the program uses all the time, as its allocator, is believed.
#ifndef CGOPROF_PRELOAD_LOADED_LIBRARY_H_
#define CGOPROF_PRELOAD_LOADED_LIBRARY_H_

#include <elf.h>
#include <link.h>
#include <stdint.h>

#include "preload/library_memory.h"
#include "shared/symbol_lookup.h"

namespace cgoprof {

// What the loader and we read of a library's dynamic section. Addresses are run-time addresses; 0: it has none.
struct DynamicSection {
  SymbolTable symbols;
  struct Relocations {
    uint64_t rows;  // ElfW(Rela)
    uint64_t bytes;
  } data, calls;
};

DynamicSection ReadDynamicSection(const link_map& library, LibraryMemory* memory);

// A function that the library defines and shows to others; nullptr if it does not.
const ElfW(Sym) * FindFunction(const link_map& library, const char* name);

// The version of a function found so that is kept for old programs, where it begins at the same place; or nullptr.
const ElfW(Sym) * FindOldVersion(const link_map& library, const ElfW(Sym) & function, const char* name);

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
