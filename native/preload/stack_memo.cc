// See stack_memo.h.
#include "preload/stack_memo.h"

namespace cgoprof {

StackMemo* StackMemo::Take(StackMemo* memos, uint32_t count) {
  const uintptr_t self = reinterpret_cast<uintptr_t>(__builtin_thread_pointer());
  StackMemo* memo = &memos[(HashAddress(self) >> 32) % count];
  return __atomic_exchange_n(&memo->in_use_, true, __ATOMIC_ACQUIRE) ? nullptr : memo;
}

void StackMemo::Return(bool kept) {
  if (kept) newest_ = 1 - newest_;
  __atomic_store_n(&in_use_, false, __ATOMIC_RELEASE);
}

}  // namespace cgoprof
