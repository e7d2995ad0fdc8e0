// See redirect.h.
#include "preload/redirect.h"

#include <elf.h>
#include <stdint.h>
#include <sys/mman.h>

#include "preload/loaded_library.h"
#include "preload/proc_maps.h"
#include "preload/raw_syscall.h"

namespace cgoprof {
namespace {

constexpr uintptr_t kPageBytes = 4096;

struct Protection {
  uintptr_t address;
  long flags;  // -1: not mapped
};

void NoteProtection(const Mapping& mapping, void* argument) {
  Protection* wanted = static_cast<Protection*>(argument);
  if (wanted->address < mapping.start || wanted->address >= mapping.end) return;
  wanted->flags =
      (mapping.readable ? PROT_READ : 0) | (mapping.writable ? PROT_WRITE : 0) | (mapping.executable ? PROT_EXEC : 0);
}

// Symbol tables are read-only, and so is what the loader has filled in and closed (RELRO). Leaves the page as it was.
bool Store(uintptr_t* place, uintptr_t value) {
  char buffer[kPageBytes];
  Protection found = {reinterpret_cast<uintptr_t>(place), -1};
  if (!ForEachMapping(buffer, sizeof(buffer), NoteProtection, &found) || found.flags < 0) return false;
  const long page = static_cast<long>(found.address & ~(kPageBytes - 1));
  const bool writable = (found.flags & PROT_WRITE) != 0;
  if (!writable && IsError(RawSyscall(SYS_mprotect, page, kPageBytes, found.flags | PROT_WRITE))) return false;
  __atomic_store_n(place, value, __ATOMIC_RELEASE);
  if (!writable) RawSyscall(SYS_mprotect, page, kPageBytes, found.flags);
  return true;
}

// Relocations whose place holds the plain address of a function.
bool HoldsAddress(const ElfW(Rela) & relocation) {
  const uint64_t type = ELF64_R_TYPE(relocation.r_info);
  return type == R_X86_64_JUMP_SLOT || type == R_X86_64_GLOB_DAT || type == R_X86_64_64;
}

struct Relocations {
  const ElfW(Rela) * rows;
  uint64_t bytes;
};

// Replaces the address in every place that holds it now. Places that are not filled in yet (lazy binding) hold another
// and are filled by a look-up.
void ReplaceIn(const link_map& library, const Relocations& relocations, uintptr_t address, uintptr_t replacement) {
  const uint64_t count = relocations.rows != nullptr ? relocations.bytes / sizeof(ElfW(Rela)) : 0;
  for (uint64_t i = 0; i < count; i++) {
    const ElfW(Rela)& relocation = relocations.rows[i];
    if (!HoldsAddress(relocation)) continue;
    uintptr_t* const place = reinterpret_cast<uintptr_t*>(library.l_addr + relocation.r_offset);
    // One that is not aligned, in a packed struct, could lie on two pages.
    if (reinterpret_cast<uintptr_t>(place) % sizeof(*place) == 0 && *place == address) Store(place, replacement);
  }
}

void ReplaceIn(const link_map& library, uintptr_t address, uintptr_t replacement) {
  Relocations data = {}, calls = {};
  for (const ElfW(Dyn)* d = library.l_ld; d != nullptr && d->d_tag != DT_NULL; d++) {
    const uintptr_t value = d->d_un.d_val;
    if (d->d_tag == DT_RELA) data.rows = DynamicAddress<const ElfW(Rela)>(library, value);
    if (d->d_tag == DT_RELASZ) data.bytes = value;
    if (d->d_tag == DT_JMPREL) calls.rows = DynamicAddress<const ElfW(Rela)>(library, value);
    if (d->d_tag == DT_PLTRELSZ) calls.bytes = value;
  }
  ReplaceIn(library, data, address, replacement);
  ReplaceIn(library, calls, address, replacement);
}

}  // namespace

bool RedirectCalls(const link_map& library, const ElfW(Sym) & function, void* replacement) {
  const uintptr_t address = library.l_addr + function.st_value;
  const uintptr_t target = reinterpret_cast<uintptr_t>(replacement);
  if (!Store(const_cast<uintptr_t*>(&function.st_value), target - library.l_addr)) return false;
  for (const link_map* other = _r_debug.r_map; other != nullptr; other = other->l_next) {
    // Ours calls the real one.
    if (other->l_ld != _DYNAMIC) ReplaceIn(*other, address, target);
  }
  return true;
}

}  // namespace cgoprof
