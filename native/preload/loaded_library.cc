// See loaded_library.h.
#include "preload/loaded_library.h"

namespace cgoprof {
namespace {

// An address as the library's dynamic section has it. glibc relocates those, except where the section is read-only, as
// the vDSO's is. Relocated is what lies near the section itself: all that the loader reads fits into 2 GiB, and a
// library lies where it was linked to lie, or further away than that. (By how much may be below zero: l_addr is a
// difference.)
uint64_t DynamicAddress(const link_map& library, uint64_t value) {
  constexpr uint64_t kNear = uint64_t{1} << 31;
  const bool is_relocated = value - reinterpret_cast<uintptr_t>(library.l_ld) + kNear < 2 * kNear;
  return is_relocated ? value : value + library.l_addr;
}

void NoteEntry(const ElfW(Dyn) & entry, const link_map& library, DynamicSection* section) {
  const uint64_t value = entry.d_un.d_val;
  SymbolTable* const symbols = &section->symbols;
  if (entry.d_tag == DT_SYMTAB) symbols->symbols = DynamicAddress(library, value);
  if (entry.d_tag == DT_STRTAB) symbols->strings = DynamicAddress(library, value);
  if (entry.d_tag == DT_GNU_HASH) symbols->gnu_hash = DynamicAddress(library, value);
  if (entry.d_tag == DT_HASH) symbols->sysv_hash = DynamicAddress(library, value);
  if (entry.d_tag == DT_VERSYM) symbols->versions = DynamicAddress(library, value);
  if (entry.d_tag == DT_RELA) section->data.rows = DynamicAddress(library, value);
  if (entry.d_tag == DT_RELASZ) section->data.bytes = value;
  if (entry.d_tag == DT_JMPREL) section->calls.rows = DynamicAddress(library, value);
  if (entry.d_tag == DT_PLTRELSZ) section->calls.bytes = value;
}

const ElfW(Sym) * Find(const link_map& library, const WantedSymbol& wanted) {
  LibraryMemory memory;
  const DynamicSection section = ReadDynamicSection(library, &memory);
  return reinterpret_cast<const ElfW(Sym)*>(SymbolLookup(&memory, section.symbols).Find(wanted));
}

}  // namespace

DynamicSection ReadDynamicSection(const link_map& library, LibraryMemory* memory) {
  constexpr uint64_t kMostEntries = 4096;
  DynamicSection section = {};
  uint64_t at = reinterpret_cast<uintptr_t>(library.l_ld);
  ElfW(Dyn) entry;
  for (uint64_t i = 0; i < kMostEntries && at != 0 && memory->Read(at, &entry) && entry.d_tag != DT_NULL; i++) {
    NoteEntry(entry, library, &section);
    at += sizeof(entry);
  }
  return section;
}

const ElfW(Sym) * FindFunction(const link_map& library, const char* name) {
  return Find(library, {name, SymbolVersion::kCurrent});
}

const ElfW(Sym) * FindOldVersion(const link_map& library, const ElfW(Sym) & function, const char* name) {
  const ElfW(Sym)* const old = Find(library, {name, SymbolVersion::kOld});
  return old != nullptr && old->st_value == function.st_value ? old : nullptr;
}

// Resolvers need their library relocated. The libraries behind ours are: the loader relocates from the last to the
// first, dependencies before those that need them, and nobody can call us before it came to us. It calls resolvers
// without arguments on amd64.
void* FunctionAddress(const link_map& library, const ElfW(Sym) & function) {
  using Resolver = void* (*)();
  void* const address = reinterpret_cast<void*>(library.l_addr + function.st_value);
  return ELF64_ST_TYPE(function.st_info) == STT_GNU_IFUNC ? reinterpret_cast<Resolver>(address)() : address;
}

FoundFunction FindFirst(const LibraryRange& libraries, const char* name) {
  for (const link_map* library = libraries.first; library != libraries.end && library != nullptr;
       library = library->l_next) {
    const ElfW(Sym)* const symbol = FindFunction(*library, name);
    if (symbol != nullptr) return {library, symbol};
  }
  return {nullptr, nullptr};
}

const link_map* OwnLibrary() {
  const link_map* library = _r_debug.r_map;
  while (library != nullptr && library->l_ld != _DYNAMIC) library = library->l_next;
  return library;
}

}  // namespace cgoprof
