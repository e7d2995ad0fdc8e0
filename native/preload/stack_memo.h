// The stack that a thread walked last, so that its next walk takes over what has not changed: in exact mode the next
// allocation mostly comes from the same callers.
//
// It is sound by induction. A call site's rule is a function of its PC alone, as long as the modules' generation is the
// same. So where a walk meets a frame with the PC, SP and FP of a remembered one, and the words that the rule would
// load are the same as then, the caller is the same too. What a remembered frame costs is those loads and comparisons,
// which unlike a walk need not wait for each other. They need no check of bounds, as long as the window's end is the
// same: whatever a step loads lies above the place of its PC.
//
// A walk reads the memo of the last one and writes the other of two, because it does not know how much of the old will
// be taken over. Memos belong to nobody: a thread uses the one that its thread pointer hashes to, unless that is in
// use: by another thread, or by a walk of its own that a signal handler interrupted. A handler that jumps out of a walk
// leaves the memo in use for good, for nobody can tell that from a walk that will go on; walks do without it then.
#ifndef CGOPROF_PRELOAD_STACK_MEMO_H_
#define CGOPROF_PRELOAD_STACK_MEMO_H_

#include <stdint.h>

#include "preload/fork_wiped.h"
#include "preload/go_boundary.h"
#include "preload/stack_memory.h"
#include "shared/segment_layout.h"

namespace cgoprof {

// Where a walk stands: Registers, but for SP as the place that the PC was loaded from.
struct Cursor {
  uintptr_t pc;
  uintptr_t pc_at;  // SP - 8
  uintptr_t fp;
};
inline bool operator==(const Cursor& a, const Cursor& b) { return a.pc == b.pc && a.pc_at == b.pc_at && a.fp == b.fp; }

// A word that a step loaded.
struct LoadedWord {
  uintptr_t at;  // its address
  uintptr_t value;
};

struct RememberedFrame {
  Cursor cursor;
  uint64_t word;  // the frame as it stands in a Stack
  LoadedWord fp;  // the caller's FP; where that is still in the register, its PC once more
};

struct RememberedStack {
  uintptr_t window_last;
  uint16_t generation;
  uint32_t depth;
  RememberedFrame frames[kMaxStackDepth + 1];  // one more: where the walk went on
};

class StackMemo {
 public:
  // Takes the calling thread's memo. nullptr if it is in use.
  static StackMemo* Take(StackMemo* memos, uint32_t count);

  // Gives it back; what was written into next() is the last stack from now on, if it is to be `kept`.
  void Return(bool kept);

  const RememberedStack& last() const { return stacks_[newest_]; }
  RememberedStack* next() { return &stacks_[1 - newest_]; }

 private:
  bool in_use_;  // atomic
  uint32_t newest_;
  RememberedStack stacks_[2];
};

inline uintptr_t WordAt(uintptr_t address) { return *reinterpret_cast<const uintptr_t*>(address); }

// Whether the step from a remembered frame to the one after it would lead there again.
inline bool StillLeadsTo(const RememberedFrame& frame) {
  const Cursor& caller = (&frame + 1)->cursor;
  return ((WordAt(caller.pc_at) ^ caller.pc) | (WordAt(frame.fp.at) ^ frame.fp.value)) == 0;
}

}  // namespace cgoprof

#endif  // CGOPROF_PRELOAD_STACK_MEMO_H_
