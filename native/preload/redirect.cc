// See redirect.h.
#include "preload/redirect.h"

#include <elf.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "preload/loaded_library.h"
#include "preload/proc_maps.h"
#include "preload/raw_syscall.h"
#include "preload/real_alloc.h"

namespace cgoprof {
namespace {

constexpr uintptr_t kPageBytes = 4096;

// Symbol tables are read-only, and so is what the loader has filled in and closed (RELRO). How a page is protected is
// known from /proc/self/maps alone, so stores are gathered for one look at it.
class GatheredStores {
 public:
  void Add(uintptr_t* place, uintptr_t value) {
    if (count_ == kMost) Flush();
    stores_[count_++] = {place, value, kUnmapped};
  }

  // Does what was gathered, in order, up to the first store that fails; nothing more after that. Leaves every page as
  // it was. False if one failed, now or before.
  bool Flush() {
    char buffer[kPageBytes];
    if (count_ != 0 && !failed_) failed_ = !ForEachMapping(buffer, sizeof(buffer), NoteProtection, this) || !StoreAll();
    count_ = 0;
    return !failed_;
  }

 private:
  static constexpr size_t kMost = 128;
  static constexpr long kUnmapped = -1;

  struct Store {
    uintptr_t* place;
    uintptr_t value;
    long protection;

    uintptr_t page() const { return reinterpret_cast<uintptr_t>(place) & ~(kPageBytes - 1); }
    bool Protect(long protection) const {
      return !IsError(RawSyscall(SYS_mprotect, static_cast<long>(page()), kPageBytes, protection));
    }
  };

  static void NoteProtection(const Mapping& mapping, void* self) {
    const long protection =
        (mapping.readable ? PROT_READ : 0) | (mapping.writable ? PROT_WRITE : 0) | (mapping.executable ? PROT_EXEC : 0);
    GatheredStores* const gathered = static_cast<GatheredStores*>(self);
    for (size_t i = 0; i < gathered->count_; i++) {
      Store& store = gathered->stores_[i];
      const uintptr_t address = reinterpret_cast<uintptr_t>(store.place);
      if (address >= mapping.start && address < mapping.end) store.protection = protection;
    }
  }

  bool StoreAll() const {
    const Store* opened = nullptr;  // its page is writable for now
    bool stored = true;
    for (size_t i = 0; i < count_ && stored; i++) {
      const Store& store = stores_[i];
      if (opened != nullptr && opened->page() != store.page()) {
        opened->Protect(opened->protection);
        opened = nullptr;
      }
      stored = store.protection != kUnmapped;
      if (stored && opened == nullptr && (store.protection & PROT_WRITE) == 0) {
        stored = store.Protect(store.protection | PROT_WRITE);
        if (stored) opened = &store;
      }
      if (stored) __atomic_store_n(store.place, store.value, __ATOMIC_RELEASE);
    }
    if (opened != nullptr) opened->Protect(opened->protection);
    return stored;
  }

  Store stores_[kMost];
  size_t count_ = 0;
  bool failed_ = false;
};

// Relocations whose place holds the plain address of a function.
bool HoldsAddress(const ElfW(Rela) & relocation) {
  const uint64_t type = ELF64_R_TYPE(relocation.r_info);
  return type == R_X86_64_JUMP_SLOT || type == R_X86_64_GLOB_DAT || type == R_X86_64_64;
}

// Replaces addresses in every place that holds one of them now. Places that are not filled in yet (lazy binding) hold
// others and are filled by a look-up.
class Replacer {
 public:
  Replacer(const Redirection* redirections, size_t count, GatheredStores* stores)
      : redirections_(redirections), count_(count), stores_(stores) {
    for (size_t i = 0; i < count; i++) {
      const uintptr_t real = reinterpret_cast<uintptr_t>(redirections[i].real);
      if (real < lowest_) lowest_ = real;
      if (real > highest_) highest_ = real;
    }
  }

  void ReplaceIn(const link_map& library) const {
    Relocations data = {}, calls = {};
    for (const ElfW(Dyn)* d = library.l_ld; d != nullptr && d->d_tag != DT_NULL; d++) {
      const uintptr_t value = d->d_un.d_val;
      if (d->d_tag == DT_RELA) data.rows = DynamicAddress<const ElfW(Rela)>(library, value);
      if (d->d_tag == DT_RELASZ) data.bytes = value;
      if (d->d_tag == DT_JMPREL) calls.rows = DynamicAddress<const ElfW(Rela)>(library, value);
      if (d->d_tag == DT_PLTRELSZ) calls.bytes = value;
    }
    ReplaceIn(library, data);
    ReplaceIn(library, calls);
  }

 private:
  struct Relocations {
    const ElfW(Rela) * rows;
    uint64_t bytes;
  };

  void ReplaceIn(const link_map& library, const Relocations& relocations) const {
    const uint64_t count = relocations.rows != nullptr ? relocations.bytes / sizeof(ElfW(Rela)) : 0;
    for (uint64_t i = 0; i < count; i++) {
      const ElfW(Rela)& relocation = relocations.rows[i];
      if (!HoldsAddress(relocation)) continue;
      uintptr_t* const place = reinterpret_cast<uintptr_t*>(library.l_addr + relocation.r_offset);
      // One that is not aligned, in a packed struct, could lie on two pages.
      if (reinterpret_cast<uintptr_t>(place) % sizeof(*place) == 0) ReplaceAt(place);
    }
  }

  void ReplaceAt(uintptr_t* place) const {
    const uintptr_t held = *place;
    if (held < lowest_ || held > highest_) return;  // as nearly all are
    for (size_t i = 0; i < count_; i++) {
      if (held != reinterpret_cast<uintptr_t>(redirections_[i].real)) continue;
      return stores_->Add(place, reinterpret_cast<uintptr_t>(redirections_[i].replacement));
    }
  }

  const Redirection* const redirections_;
  const size_t count_;
  GatheredStores* const stores_;
  uintptr_t lowest_ = UINTPTR_MAX, highest_ = 0;
};

// Each thread is a folder, and a folder's links are those from its own, its parent's and its own folders.
bool IsSingleThreaded() {
  struct stat tasks = {};
  const long error = RawSyscall(SYS_newfstatat, -1, PointerArg("/proc/self/task"), PointerArg(&tasks), 0);
  return !IsError(error) && tasks.st_nlink == 3;
}

// What the symbol table shall have: one store, so that whoever looks it up meanwhile finds either. That the address is
// a resolver's says another word of the symbol, which stays.
uintptr_t SymbolValue(const link_map& library, const Redirection& one) {
  const bool is_chosen = ELF64_ST_TYPE(one.function->st_info) == STT_GNU_IFUNC;
  void* const address = is_chosen ? reinterpret_cast<void*>(one.resolver) : one.replacement;
  return reinterpret_cast<uintptr_t>(address) - library.l_addr;
}

}  // namespace

bool RedirectCalls(const link_map& library, const Redirection* redirections, size_t count) {
  GatheredStores stores;
  // Symbols first: where these cannot be written, as text that must never be, nothing is.
  for (size_t i = 0; i < count; i++)
    stores.Add(const_cast<uintptr_t*>(&redirections[i].function->st_value), SymbolValue(library, redirections[i]));
  // Another thread, of a library that was initialized before ours, may unload what it has loaded: only those that the
  // program started with stay.
  const link_map* const last = IsSingleThreaded() ? nullptr : LastInitialLibrary();
  const Replacer replacer(redirections, count, &stores);
  for (const link_map* other = _r_debug.r_map; other != nullptr; other = other != last ? other->l_next : nullptr) {
    // Ours calls the real ones.
    if (other->l_ld != _DYNAMIC) replacer.ReplaceIn(*other);
  }
  return stores.Flush();
}

}  // namespace cgoprof
