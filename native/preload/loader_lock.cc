// See loader_lock.h.
#include "preload/loader_lock.h"

#include <link.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "preload/fork_wiped.h"
#include "preload/raw_syscall.h"
#include "preload/recorder.h"

// glibc's since 2.3.2, what pthread_atfork comes to.
extern "C" int __register_atfork(void (*prepare)(), void (*parent)(), void (*child)(), void* dso_handle);
extern "C" void* __dso_handle;

namespace cgoprof {
namespace {

constexpr int kMostNaps = 1000;  // for a fork; and for us

void Nap() {
  constexpr struct timespec kMillisecond = {0, 1000000};
  RawSyscall(SYS_nanosleep, PointerArg(&kMillisecond));
}

bool IsSet(const uint32_t* word) { return __atomic_load_n(word, __ATOMIC_SEQ_CST) != 0; }

void AddFork(uint32_t count) { __atomic_fetch_add(&fork_wiped.forks, count, __ATOMIC_SEQ_CST); }

void EndFork() { AddFork(~uint32_t{0}); }

// Each side says what it is about to do before it looks at what the other has said; and a fork takes that back, and
// waits, so that even one after the other they do not keep us out.
void BeforeFork() {
  AddFork(1);
  for (int i = 0; i < kMostNaps && IsSet(&fork_wiped.holding_loader); i++) {
    EndFork();
    Nap();
    AddFork(1);
  }
}

// The child is not recorded, unless somebody attaches to it, who need not wait for the end of its parent's gap then.
void AfterForkInChild() { thread_state.bytes_to_sample = 0; }

struct Call {
  void (*action)(void* argument);
  void* argument;
};

enum Answer : int { kNotYet = 1, kDone = 2 };  // either way, no further library

// Under the lock, which is given up as long as forks are under way.
int DoOnce(struct dl_phdr_info*, size_t, void* argument) {
  Call* const call = static_cast<Call*>(argument);
  __atomic_store_n(&fork_wiped.holding_loader, 1, __ATOMIC_SEQ_CST);
  if (IsSet(&fork_wiped.forks)) return kNotYet;
  call->action(call->argument);
  return kDone;
}

}  // namespace

bool UnderLoaderLock(void (*action)(void* argument), void* argument) {
  static bool registered;
  if (!registered) registered = __register_atfork(&BeforeFork, &EndFork, &AfterForkInChild, &__dso_handle) == 0;
  Call call = {action, argument};
  int answer = kNotYet;
  for (int i = 0; i < kMostNaps && (answer = dl_iterate_phdr(&DoOnce, &call)) == kNotYet; i++) Nap();
  __atomic_store_n(&fork_wiped.holding_loader, 0, __ATOMIC_SEQ_CST);
  return answer == kDone;
}

}  // namespace cgoprof
