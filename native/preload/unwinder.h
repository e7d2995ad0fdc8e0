// Walks the stack of the calling thread from an allocation up to the bottom: C frames by call frame information, Go
// frames by frame pointers, and across the boundary between them as often as the stack does (see go_boundary.h).
//
// Rules are compiled on first use of a call site (cfi.h) and kept in a cache (call_site_cache.h). Frames whose rule is
// there, and simple, are walked in a loop of their own; any other in full.
#ifndef CGOPROF_PRELOAD_UNWINDER_H_
#define CGOPROF_PRELOAD_UNWINDER_H_

#include <stdint.h>

#include "preload/bucket_table.h"
#include "preload/call_site_cache.h"
#include "preload/cfi.h"
#include "preload/fork_wiped.h"
#include "preload/go_boundary.h"
#include "preload/modules.h"
#include "preload/stack_memo.h"
#include "preload/stack_memory.h"

namespace cgoprof {

class Unwinder {
 public:
  // Both objects must outlive this one. `boundary` may not be ready (no Go program). `dense`: a thread's next walk
  // comes soon after its last, so that remembering that pays.
  void Init(ModuleTable* modules, GoBoundary* boundary, bool dense) {
    modules_ = modules;
    boundary_ = boundary;
    dense_ = dense;
  }

  // Fills `stack` with the frames from `start` on, which is the state right after the hook returns to its caller.
  // Thread-safe, no allocation, bounded by kMaxStackDepth frames.
  void Walk(Registers start, HomeStack* home, Stack* stack);

 private:
  static constexpr uint32_t kMemos = 64;

  enum class Step { kContinue, kDone };

  bool StepCached(const StackWindow& window, uint64_t generation, Cursor* cursor, RememberedFrame* frame) const;
  Step WalkCached(const StackWindow& window, Registers* registers, Stack* stack) const;
  bool WalkRemembered(const StackWindow& window, StackMemo* memo, Registers* registers, Stack* stack) const;
  Step StepOver(StackMemory* memory, Registers* registers, Stack* stack);
  CallSite LookUp(uintptr_t pc);
  CallSite Resolve(uintptr_t pc);
  Step StepC(const FrameRule& rule, StackMemory* memory, Registers* registers, Stack* stack);
  Step StepSignal(StackMemory* memory, Registers* registers, Stack* stack);
  Step StepGo(StackMemory* memory, Registers* registers, Stack* stack);
  Step StepWithoutCfi(StackMemory* memory, Registers* registers, Stack* stack);

  ModuleTable* modules_;
  GoBoundary* boundary_;
  bool dense_;
  CallSiteCache cache_;
  StackMemo memos_[kMemos];
};

}  // namespace cgoprof

#endif  // CGOPROF_PRELOAD_UNWINDER_H_
