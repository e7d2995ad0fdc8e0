// See loader_lock.h.
#include "preload/loader_lock.h"

#include <link.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "preload/fork_wiped.h"
#include "preload/raw_syscall.h"

// glibc's since 2.3.2, what pthread_atfork comes to.
extern "C" int __register_atfork(void (*prepare)(), void (*parent)(), void (*child)(), void* dso_handle);
extern "C" void* __dso_handle;

namespace cgoprof {
namespace {

constexpr int kMostNaps = 50;

void Nap() {
  constexpr struct timespec kMillisecond = {0, 1000000};
  RawSyscall(SYS_nanosleep, PointerArg(&kMillisecond));
}

bool IsSet(const uint32_t* word) { return __atomic_load_n(word, __ATOMIC_SEQ_CST) != 0; }

// Each side says what it is about to do, and then looks at what the other has said.
void BeforeFork() {
  __atomic_fetch_add(&fork_wiped.forks, 1, __ATOMIC_SEQ_CST);
  for (int i = 0; i < kMostNaps && IsSet(&fork_wiped.holding_loader); i++) Nap();
}

void AfterForkInParent() { __atomic_fetch_sub(&fork_wiped.forks, 1, __ATOMIC_SEQ_CST); }

void HoldOffForks() {
  for (int i = 0; i < kMostNaps; i++) {
    __atomic_store_n(&fork_wiped.holding_loader, 1, __ATOMIC_SEQ_CST);
    if (!IsSet(&fork_wiped.forks)) return;
    __atomic_store_n(&fork_wiped.holding_loader, 0, __ATOMIC_SEQ_CST);
    Nap();
  }
  __atomic_store_n(&fork_wiped.holding_loader, 1, __ATOMIC_SEQ_CST);
}

struct Call {
  void (*action)(void* argument);
  void* argument;
};

int DoOnce(struct dl_phdr_info*, size_t, void* call) {
  static_cast<Call*>(call)->action(static_cast<Call*>(call)->argument);
  return 1;  // no further library
}

}  // namespace

void UnderLoaderLock(void (*action)(void* argument), void* argument) {
  static bool registered;
  if (!registered) registered = __register_atfork(&BeforeFork, &AfterForkInParent, nullptr, &__dso_handle) == 0;
  Call call = {action, argument};
  HoldOffForks();
  dl_iterate_phdr(&DoOnce, &call);
  __atomic_store_n(&fork_wiped.holding_loader, 0, __ATOMIC_SEQ_CST);
}

}  // namespace cgoprof
