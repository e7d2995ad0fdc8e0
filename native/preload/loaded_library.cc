// See loaded_library.h.
#include "preload/loaded_library.h"

#include <string.h>

namespace cgoprof {
namespace {

enum class Version { kCurrent, kOld };  // old: kept for old programs only

bool Defines(const SymbolTable& table, uint32_t index, const char* name, Version version) {
  constexpr uint16_t kHiddenVersion = 0x8000;
  const ElfW(Sym)& symbol = table.symbols[index];
  const unsigned type = ELF64_ST_TYPE(symbol.st_info);
  const bool is_old = table.versions != nullptr && (table.versions[index] & kHiddenVersion) != 0;
  // One that is not defined may have a value all the same: the PLT entry that a program shows for comparison.
  return symbol.st_shndx != SHN_UNDEF && (type == STT_FUNC || type == STT_GNU_IFUNC) &&
         is_old == (version == Version::kOld) && strcmp(table.strings + symbol.st_name, name) == 0;
}

// Format: https://flapenguin.me/elf-dt-gnu-hash and binutils' bfd/elflink.c. Returns 0 if not there.
uint32_t FindByGnuHash(const SymbolTable& table, const char* name, Version version) {
  uint32_t hash = 5381;
  for (const char* p = name; *p != '\0'; p++) hash = hash * 33 + static_cast<uint8_t>(*p);
  const uint32_t buckets = table.gnu_hash[0];
  const uint32_t first = table.gnu_hash[1];
  const uint32_t bloom_words = table.gnu_hash[2];
  if (buckets == 0) return 0;
  const uint32_t* bucket = table.gnu_hash + 4 + bloom_words * (sizeof(ElfW(Addr)) / 4);
  const uint32_t* chain = bucket + buckets;
  uint32_t index = bucket[hash % buckets];
  if (index < first) return 0;
  for (;; index++) {
    const uint32_t entry = chain[index - first];
    if ((entry | 1) == (hash | 1) && Defines(table, index, name, version)) return index;
    if ((entry & 1) != 0) return 0;
  }
}

uint32_t FindBySysvHash(const SymbolTable& table, const char* name, Version version) {
  uint32_t hash = 0;
  for (const char* p = name; *p != '\0'; p++) {
    hash = (hash << 4) + static_cast<uint8_t>(*p);
    hash = (hash ^ (hash >> 24 & 0xf0)) & 0x0fffffff;
  }
  const uint32_t buckets = table.sysv_hash[0];
  const uint32_t symbols = table.sysv_hash[1];
  if (buckets == 0) return 0;
  const uint32_t* bucket = table.sysv_hash + 2;
  const uint32_t* chain = bucket + buckets;
  uint32_t index = bucket[hash % buckets];
  for (uint32_t steps = 0; index != 0 && steps < symbols; steps++, index = chain[index]) {
    if (Defines(table, index, name, version)) return index;
  }
  return 0;
}

}  // namespace

SymbolTable ReadSymbolTable(const link_map& library) {
  SymbolTable table = {};
  for (const ElfW(Dyn)* d = library.l_ld; d != nullptr && d->d_tag != DT_NULL; d++) {
    const uintptr_t value = d->d_un.d_ptr;
    if (d->d_tag == DT_SYMTAB) table.symbols = DynamicAddress<const ElfW(Sym)>(library, value);
    if (d->d_tag == DT_STRTAB) table.strings = DynamicAddress<const char>(library, value);
    if (d->d_tag == DT_GNU_HASH) table.gnu_hash = DynamicAddress<const uint32_t>(library, value);
    if (d->d_tag == DT_HASH) table.sysv_hash = DynamicAddress<const uint32_t>(library, value);
    if (d->d_tag == DT_VERSYM) table.versions = DynamicAddress<const uint16_t>(library, value);
  }
  return table;
}

namespace {

const ElfW(Sym) * Find(const SymbolTable& table, const char* name, Version version) {
  if (table.symbols == nullptr || table.strings == nullptr) return nullptr;
  uint32_t index = 0;
  if (table.gnu_hash != nullptr)
    index = FindByGnuHash(table, name, version);
  else if (table.sysv_hash != nullptr)
    index = FindBySysvHash(table, name, version);
  return index != 0 ? &table.symbols[index] : nullptr;
}

}  // namespace

const ElfW(Sym) * FindFunction(const link_map& library, const char* name) {
  return Find(ReadSymbolTable(library), name, Version::kCurrent);
}

const ElfW(Sym) * FindOldVersion(const link_map& library, const ElfW(Sym) & function) {
  const SymbolTable table = ReadSymbolTable(library);
  const ElfW(Sym)* const old = Find(table, table.strings + function.st_name, Version::kOld);
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
