// See real_alloc.h.
#include "preload/real_alloc.h"

#include <elf.h>
#include <errno.h>
#include <link.h>
#include <stdint.h>
#include <string.h>

namespace cgoprof {
namespace {

// The dynamic symbol table of one loaded library.
struct SymbolTable {
  const ElfW(Sym) * symbols;
  const char* strings;
  const uint32_t* gnu_hash;
  const uint32_t* sysv_hash;
  const uint16_t* versions;
};

// glibc relocates the addresses in a library's dynamic section, except in the vDSO's, which is read-only.
template <typename T>
const T* DynamicAddress(const link_map& library, uintptr_t value) {
  return reinterpret_cast<const T*>(value < library.l_addr ? value + library.l_addr : value);
}

SymbolTable ReadSymbolTable(const link_map& library) {
  SymbolTable table = {};
  for (const ElfW(Dyn)* d = library.l_ld; d != nullptr && d->d_tag != DT_NULL; d++) {
    const uintptr_t value = d->d_un.d_ptr;
    if (d->d_tag == DT_SYMTAB) table.symbols = DynamicAddress<ElfW(Sym)>(library, value);
    if (d->d_tag == DT_STRTAB) table.strings = DynamicAddress<char>(library, value);
    if (d->d_tag == DT_GNU_HASH) table.gnu_hash = DynamicAddress<uint32_t>(library, value);
    if (d->d_tag == DT_HASH) table.sysv_hash = DynamicAddress<uint32_t>(library, value);
    if (d->d_tag == DT_VERSYM) table.versions = DynamicAddress<uint16_t>(library, value);
  }
  return table;
}

bool Defines(const SymbolTable& table, uint32_t index, const char* name) {
  constexpr uint16_t kHiddenVersion = 0x8000;  // an old version, kept for old programs only
  const ElfW(Sym)& symbol = table.symbols[index];
  const unsigned type = ELF64_ST_TYPE(symbol.st_info);
  // A size of 0 is not a definition but the address of a PLT entry that a program shows for comparison.
  return symbol.st_shndx != SHN_UNDEF && symbol.st_size != 0 && (type == STT_FUNC || type == STT_GNU_IFUNC) &&
         (table.versions == nullptr || (table.versions[index] & kHiddenVersion) == 0) &&
         strcmp(table.strings + symbol.st_name, name) == 0;
}

// Format: https://flapenguin.me/elf-dt-gnu-hash and binutils' bfd/elflink.c. Returns 0 if not there.
uint32_t FindByGnuHash(const SymbolTable& table, const char* name) {
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
    if ((entry | 1) == (hash | 1) && Defines(table, index, name)) return index;
    if ((entry & 1) != 0) return 0;
  }
}

uint32_t FindBySysvHash(const SymbolTable& table, const char* name) {
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
    if (Defines(table, index, name)) return index;
  }
  return 0;
}

// The function itself, where the symbol's address is that of a resolver which chooses it. Resolvers need their library
// relocated. The libraries behind ours are: the loader relocates from the last to the first, dependencies before those
// that need them, and nobody can call us before it came to us. It calls resolvers without arguments on amd64.
void* ChooseFunction(void* address, const ElfW(Sym) & symbol) {
  using Resolver = void* (*)();
  return ELF64_ST_TYPE(symbol.st_info) == STT_GNU_IFUNC ? reinterpret_cast<Resolver>(address)() : address;
}

void* FindIn(const link_map& library, const char* name) {
  const SymbolTable table = ReadSymbolTable(library);
  if (table.symbols == nullptr || table.strings == nullptr) return nullptr;
  uint32_t index = 0;
  if (table.gnu_hash != nullptr)
    index = FindByGnuHash(table, name);
  else if (table.sysv_hash != nullptr)
    index = FindBySysvHash(table, name);
  if (index == 0) return nullptr;
  const ElfW(Sym)& symbol = table.symbols[index];
  return ChooseFunction(reinterpret_cast<void*>(library.l_addr + symbol.st_value), symbol);
}

// Looks through the libraries behind ours, in load order, which is the search order.
void* FindNext(const char* name) {
  const link_map* library = _r_debug.r_map;
  while (library != nullptr && library->l_ld != _DYNAMIC) library = library->l_next;
  if (library == nullptr) return nullptr;
  for (library = library->l_next; library != nullptr; library = library->l_next) {
    if (void* found = FindIn(*library, name)) return found;
  }
  return nullptr;
}

// What a function that no library defines does.
template <typename Result>
Result Missing();
template <>
void* Missing() {
  errno = ENOMEM;
  return nullptr;
}
template <>
int Missing() {
  return ENOMEM;
}
template <>
void Missing() {}

#define CGOPROF_MISSING(name, result, parameters, arguments)          \
  result Missing_##name parameters {                                  \
    if (false) return real.name arguments; /* uses every parameter */ \
    return Missing<result>();                                         \
  }
CGOPROF_REAL_FUNCTIONS(CGOPROF_MISSING)
#undef CGOPROF_MISSING

void ResolveAll(){
#define CGOPROF_RESOLVE(name, result, parameters, arguments)                                                         \
  {                                                                                                                  \
    void* found = FindNext(#name);                                                                                   \
    __atomic_store_n(&real.name, found != nullptr ? reinterpret_cast<result(*) parameters>(found) : &Missing_##name, \
                     __ATOMIC_RELAXED);                                                                              \
  }
    CGOPROF_REAL_FUNCTIONS(CGOPROF_RESOLVE)
#undef CGOPROF_RESOLVE
}

#define CGOPROF_FIRST(name, result, parameters, arguments) \
  result First_##name parameters {                         \
    ResolveAll();                                          \
    return real.name arguments;                            \
  }
CGOPROF_REAL_FUNCTIONS(CGOPROF_FIRST)
#undef CGOPROF_FIRST

}  // namespace

RealFunctions real = {
#define CGOPROF_INITIAL(name, result, parameters, arguments) &First_##name,
    CGOPROF_REAL_FUNCTIONS(CGOPROF_INITIAL)
#undef CGOPROF_INITIAL
};

}  // namespace cgoprof
