// See gathered_stores.h.
#include "preload/gathered_stores.h"

#include <asm/prctl.h>
#include <errno.h>
#include <sys/mman.h>

#include "preload/raw_syscall.h"

namespace cgoprof {
namespace {

constexpr uintptr_t kPageBytes = 4096;
constexpr long kUnmapped = -1;

uintptr_t PageOf(const uintptr_t* place) { return reinterpret_cast<uintptr_t>(place) & ~(kPageBytes - 1); }

bool Protect(uintptr_t page, long protection) {
  return !IsError(RawSyscall(SYS_mprotect, static_cast<long>(page), kPageBytes, protection));
}

// Where another thread loads a library, the loader may close a page of it between a look at the page and a store. So
// the kernel stores: to hand out the GS base, which nobody uses on amd64, it stores 8 bytes at once, and answers EFAULT
// where it may not.
class KernelStore {
 public:
  KernelStore() { RawSyscall(SYS_arch_prctl, ARCH_GET_GS, PointerArg(&before_)); }
  ~KernelStore() { RawSyscall(SYS_arch_prctl, ARCH_SET_GS, static_cast<long>(before_)); }
  KernelStore(const KernelStore&) = delete;
  KernelStore& operator=(const KernelStore&) = delete;

  // 0, EFAULT, or what else the kernel has against it.
  static int Store(uintptr_t* place, uintptr_t value) {
    long error = RawSyscall(SYS_arch_prctl, ARCH_SET_GS, static_cast<long>(value));
    if (!IsError(error)) error = RawSyscall(SYS_arch_prctl, ARCH_GET_GS, PointerArg(place));
    return IsError(error) ? static_cast<int>(-error) : 0;
  }

 private:
  uintptr_t before_ = 0;
};

// What the GS base can be: an address of user space.
bool IsAddress(uintptr_t value) { return value >> 47 == 0; }

// A page that is writable until the end of the scope.
class OpenedPage {
 public:
  ~OpenedPage() { Close(); }
  bool Open(uintptr_t page, long protection) {
    if (page == page_) return true;
    Close();
    if ((protection & PROT_WRITE) != 0) return true;
    if (!Protect(page, protection | PROT_WRITE)) return false;
    page_ = page;
    protection_ = protection;
    return true;
  }

 private:
  void Close() {
    if (page_ != 0) Protect(page_, protection_);
    page_ = 0;
  }
  uintptr_t page_ = 0;
  long protection_ = 0;
};

}  // namespace

void GatheredStores::Add(uintptr_t* place, uintptr_t held, uintptr_t value) {
  if (count_ == kMost) Flush();
  stores_[count_++] = {place, held, value, kUnmapped, false};
}

void GatheredStores::NoteProtection(const Mapping& mapping, void* self) {
  const long protection =
      (mapping.readable ? PROT_READ : 0) | (mapping.writable ? PROT_WRITE : 0) | (mapping.executable ? PROT_EXEC : 0);
  GatheredStores* const gathered = static_cast<GatheredStores*>(self);
  for (size_t i = 0; i < gathered->count_; i++) {
    Store& store = gathered->stores_[i];
    const uintptr_t address = reinterpret_cast<uintptr_t>(store.place);
    if (address >= mapping.start && address < mapping.end) store.protection = protection;
  }
}

bool GatheredStores::Look() {
  char buffer[kPageBytes];
  for (size_t i = 0; i < count_; i++) stores_[i].protection = kUnmapped;
  return ForEachMapping(buffer, sizeof(buffer), NoteProtection, this);
}

// Leaves undone what the kernel refuses because the page is closed, other than it was found.
bool GatheredStores::StoreAll() {
  const KernelStore kernel;
  OpenedPage page;
  for (size_t i = 0; i < count_; i++) {
    Store& store = stores_[i];
    if (store.done) continue;
    if (store.protection == kUnmapped || !page.Open(PageOf(store.place), store.protection)) return false;
    int error = 0;
    // Another value than was seen: somebody else's by now.
    if (__atomic_load_n(store.place, __ATOMIC_RELAXED) == store.held) {
      // What is no address is the offset in a symbol table, whose protection nobody changes.
      if (IsAddress(store.value))
        error = kernel.Store(store.place, store.value);
      else
        __atomic_store_n(store.place, store.value, __ATOMIC_RELEASE);
      if (error == 0) done_++;
    }
    store.done = error == 0;
    if (error != 0 && error != EFAULT) return false;
  }
  return true;
}

bool GatheredStores::IsAllDone() const {
  for (size_t i = 0; i < count_; i++) {
    if (!stores_[i].done) return false;
  }
  return true;
}

bool GatheredStores::Flush() {
  constexpr int kMostLooks = 8;
  for (int i = 0; i < kMostLooks && !failed_ && !IsAllDone(); i++) failed_ = !Look() || !StoreAll();
  failed_ = failed_ || !IsAllDone();
  count_ = 0;
  return !failed_;
}

}  // namespace cgoprof
