// See redirect.h.
#include "preload/redirect.h"

#include <elf.h>
#include <sys/auxv.h>

#include "preload/gathered_stores.h"
#include "preload/library_memory.h"
#include "preload/loaded_library.h"
#include "preload/loader_lock.h"

namespace cgoprof {
namespace {

struct Remembered {
  Redirection redirection;
  uintptr_t symbol_value;  // of the function, as it was
};

// More than all hooks there are. A forked child inherits what was redirected, and this, so an entry is whole before it
// counts, and counts before anything is changed.
constexpr size_t kMost = 128;
Remembered remembered[kMost];
size_t remembered_count;

uint64_t places_changed;

const Remembered* Recall(const ElfW(Sym) & function) {
  for (size_t i = 0; i < remembered_count; i++) {
    if (remembered[i].redirection.function == &function) return &remembered[i];
  }
  return nullptr;
}

bool Remember(const Redirection& redirection) {
  if (Recall(*redirection.function) != nullptr) return true;
  if (remembered_count == kMost) return false;
  remembered[remembered_count] = {redirection, redirection.function->st_value};
  __atomic_store_n(&remembered_count, remembered_count + 1, __ATOMIC_RELEASE);
  return true;
}

// Relocations whose place holds the plain address of a function.
bool HoldsAddress(const ElfW(Rela) & relocation) {
  const uint64_t type = ELF64_R_TYPE(relocation.r_info);
  return type == R_X86_64_JUMP_SLOT || type == R_X86_64_GLOB_DAT || type == R_X86_64_64;
}

// From one address to another.
struct Change {
  uintptr_t from;
  uintptr_t to;
  const Redirection* of;
};

// Replaces addresses in every place that holds one of them now. Places that are not filled in yet (lazy binding) hold
// others and are filled by a look-up.
class Replacer {
 public:
  explicit Replacer(GatheredStores* stores) : stores_(stores) {}

  void Add(const Change& change) {
    changes_[count_++] = change;
    if (change.from < lowest_) lowest_ = change.from;
    if (change.from > highest_) highest_ = change.from;
  }

  void ReplaceIn(const link_map& library) {
    const DynamicSection section = ReadDynamicSection(library, &tables_);
    ReplaceIn(library, section, section.data);
    ReplaceIn(library, section, section.calls);
  }

 private:
  void ReplaceIn(const link_map& library, const DynamicSection& section, const DynamicSection::Relocations& rows) {
    ElfW(Rela) row;
    for (uint64_t at = 0; at + sizeof(row) <= rows.bytes; at += sizeof(row)) {
      if (!tables_.Read(rows.rows + at, &row)) return;
      if (!HoldsAddress(row)) continue;
      const uintptr_t place = library.l_addr + row.r_offset;
      // One that is not aligned, in a packed struct, could lie on two pages.
      if (place % sizeof(place) != 0 || !places_.Has(place, sizeof(place))) continue;
      ReplaceAt(reinterpret_cast<uintptr_t*>(place), library, section, ELF64_R_SYM(row.r_info));
    }
  }

  void ReplaceAt(uintptr_t* place, const link_map& library, const DynamicSection& section, uint64_t symbol) {
    const uintptr_t held = __atomic_load_n(place, __ATOMIC_RELAXED);
    if (held < lowest_ || held > highest_) return;  // as nearly all are
    for (size_t i = 0; i < count_; i++) {
      const Change& change = changes_[i];
      if (held == change.from && IsAboutIt(library, section.symbols, symbol, *change.of))
        return stores_->Add(place, held, change.to);
    }
  }

  // In the library that defines a function a place may hold its address under another name, by which the library calls
  // itself (tcmalloc's posix_memalign its tc_memalign): that is a part of how it does what it was asked to.
  bool IsAboutIt(const link_map& library, const SymbolTable& table, uint64_t symbol, const Redirection& redirection) {
    if (redirection.library->l_ld != library.l_ld) return true;
    ElfW(Sym) named;
    return tables_.Read(table.symbols + symbol * sizeof(named), &named) &&
           tables_.HasText(table.strings + named.st_name, redirection.name);
  }

  GatheredStores* const stores_;
  LibraryMemory tables_, places_;
  Change changes_[kMost];
  size_t count_ = 0;
  uintptr_t lowest_ = UINTPTR_MAX, highest_ = 0;
};

// What the symbol table shall have: one store, so that whoever looks it up meanwhile finds either. That the address is
// a resolver's says another word of the symbol, which stays.
uintptr_t SymbolValue(const Redirection& one) {
  const bool is_chosen = ELF64_ST_TYPE(one.function->st_info) == STT_GNU_IFUNC;
  void* const address = is_chosen ? reinterpret_cast<void*>(one.resolver) : one.replacement;
  return reinterpret_cast<uintptr_t>(address) - one.library->l_addr;
}

// The loader calls malloc by pointers of its own, and before it can do without. What it and the kernel's image hold is
// not for us to change.
bool IsLeftAlone(const link_map& library) {
  return library.l_ld == _DYNAMIC || library.l_addr == _r_debug.r_ldbase ||
         library.l_addr == getauxval(AT_SYSINFO_EHDR);
}

// One pass over all symbols and places.
class Pass {
 public:
  Pass() : replacer_(&stores_) {}

  // Symbols first: where these cannot be written, as text that must never be, nothing is.
  void AddSymbol(const ElfW(Sym) & function, uintptr_t value) {
    if (function.st_value == value) return;
    stores_.Add(const_cast<uintptr_t*>(&function.st_value), function.st_value, value);
  }
  void AddChange(const void* from, const void* to, const Redirection& of) {
    if (from == nullptr) return;  // of a resolver that has nothing to choose: whatever is not filled in holds that
    replacer_.Add({reinterpret_cast<uintptr_t>(from), reinterpret_cast<uintptr_t>(to), &of});
  }
  // False if it failed, or did in part.
  bool Do() {
    UnderLoaderLock([](void* self) { static_cast<Pass*>(self)->GoThroughLibraries(); }, this);
    places_changed += stores_.done();
    return succeeded_;
  }

 private:
  void GoThroughLibraries() {
    for (const link_map* library = _r_debug.r_map; library != nullptr; library = library->l_next) {
      if (!IsLeftAlone(*library)) replacer_.ReplaceIn(*library);
    }
    succeeded_ = stores_.Flush();
  }

  GatheredStores stores_;
  Replacer replacer_;
  bool succeeded_ = false;
};

void AddRedirection(const Redirection& one, Pass* pass) {
  pass->AddSymbol(*one.function, SymbolValue(one));
  pass->AddChange(one.real, one.replacement, one);
}

}  // namespace

void* UnredirectedAddress(const link_map& library, const ElfW(Sym) & function) {
  const Remembered* const known = Recall(function);
  return known != nullptr ? known->redirection.real : FunctionAddress(library, function);
}

bool RedirectCalls(const Redirection* redirections, size_t count) {
  Pass pass;
  for (size_t i = 0; i < count; i++) {
    if (!Remember(redirections[i])) return false;
    AddRedirection(redirections[i], &pass);
  }
  return pass.Do();
}

bool RedirectAgain() {
  Pass pass;
  for (size_t i = 0; i < remembered_count; i++) AddRedirection(remembered[i].redirection, &pass);
  return pass.Do();
}

bool UndoRedirections() {
  Pass pass;
  for (size_t i = 0; i < remembered_count; i++) {
    const Redirection& one = remembered[i].redirection;
    pass.AddSymbol(*one.function, remembered[i].symbol_value);
    pass.AddChange(one.replacement, one.real, one);
  }
  return pass.Do();
}

uint64_t PlacesChanged() { return places_changed; }

}  // namespace cgoprof
