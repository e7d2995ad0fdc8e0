// See stack_memo.h.
#include "preload/stack_memo.h"

namespace cgoprof {

StackMemo* StackMemo::Take(StackMemo* memos, uint32_t count) {
  const uintptr_t self = reinterpret_cast<uintptr_t>(__builtin_thread_pointer());
  StackMemo* memo = &memos[(HashAddress(self) >> 32) % count];
  uintptr_t owner = 0;
  const bool taken =
      __atomic_compare_exchange_n(&memo->taken_, &owner, self, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
  return taken || owner == self ? memo : nullptr;
}

void StackMemo::Return(bool kept) {
  if (kept) newest_ = 1 - newest_;
  __atomic_store_n(&taken_, 0, __ATOMIC_RELEASE);
}

}  // namespace cgoprof
