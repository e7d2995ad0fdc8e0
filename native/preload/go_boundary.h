// Carries a walk from C frames onto the goroutine that called them, and back into C where Go was called from C.
//
//     main.work                    ┐ goroutine stack: frame pointers, [FP] = caller's FP, [FP + 8] = return address
//     main._Cfunc_parse            │
//     runtime.cgocall              │
//     runtime.asmcgocall           ┘ switches to the thread's own stack and leaves two words there: g, and how deep
//     _cgo_0123abcd_Cfunc_parse    ┐ the goroutine's stack was; then calls C
//     parse                        │ C frames: call frame information
//     malloc                       ┘
//
// The crossing does not use the frame pointer that C code preserved, although it usually is the goroutine's: when Go
// was called back from that C code, the goroutine's stack may have been moved meanwhile, and the saved pointer leads
// into the old copy. The depth is what asmcgocall itself uses to find its way back, so it is always right:
//
//     goroutine SP in asmcgocall = g.stack.hi - depth
//
// A callback (Go called by C) is found on the goroutine: the frame whose return address lies in runtime.cgocallback was
// entered with FP pointing at cgocallback's own record on the thread's stack, next to what crosscall2 saved for C.
//
// Which word lies where changed in Go 1.21 and 1.22; see GoAbi in go_boundary.cc. Sources: runtime/asm_amd64.s
// (asmcgocall, cgocallback), runtime/cgo/asm_amd64.s (crosscall2), runtime/runtime2.go (g), Go 1.18 to 1.27.
#ifndef CGOPROF_PRELOAD_GO_BOUNDARY_H_
#define CGOPROF_PRELOAD_GO_BOUNDARY_H_

#include <stdint.h>

#include "preload/bucket_table.h"
#include "preload/cfi.h"
#include "preload/go_functions.h"
#include "preload/stack_memory.h"

namespace cgoprof {

struct Registers {
  uintptr_t pc;  // a return address: the instruction after the call
  uintptr_t sp;  // as it is after that call returned (the callee's CFA)
  uintptr_t fp;
};
inline bool operator==(const Registers& a, const Registers& b) { return a.pc == b.pc && a.sp == b.sp && a.fp == b.fp; }

// Where words lie in the frames that cross the boundary.
struct GoAbi {
  uint8_t g_slot;      // SP + g_slot after the return into asmcgocall: the goroutine that called, 0 for none
  uint8_t depth_slot;  // SP + depth_slot: g.stack.hi - goroutine SP
  bool frame_record;   // asmcgocall has a frame record at that SP; without, its return address lies there
  // From cgocallback's record on the thread's stack: the C caller's FP, its return address, and its SP.
  uint8_t callback_fp;
  uint8_t callback_return;
  uint8_t callback_sp;
};

enum class CrossResult {
  kEndOfStack,   // all frames of the goroutine were added, and it is the bottom of the stack
  kContinueInC,  // the walk goes on at the registers
  kTooDeep,      // no room for more frames
  kUnreachable,  // the goroutine's frames could not be read
};

class GoBoundary {
 public:
  // `functions` must outlive this object; `module_id` is the main program's for frame words.
  void Init(const GoFunctions* functions, uint32_t module_id);

  bool ready() const { return functions_ != nullptr; }
  const GoFunctions& functions() const { return *functions_; }

  // How to go on at an address of the Go program itself; kUnknown: it is C code with unwind tables. Where a program has
  // no tables, the Go linker did all the linking, and C code lies among the Go code.
  FrameKind KindOfCode(uintptr_t address, bool has_unwind_tables) const;

  // `registers` are those after the return into runtime.asmcgocall, whose own frame is in `stack` already. Adds the
  // goroutine's frames. Thread-safe; must run on the thread whose stack it is.
  CrossResult Cross(StackMemory* memory, Registers* registers, Stack* stack);

  // For C code without unwind tables: finds the return into asmcgocall, or into the runtime's start, above `sp`. False
  // if there is none near.
  bool FindReturnToGo(StackMemory* memory, uintptr_t sp, Registers* registers) const;

 private:
  struct Goroutine {
    uintptr_t low;
    uintptr_t high;
    uintptr_t sp;
  };
  bool FindGoroutine(uintptr_t g, uintptr_t depth, Goroutine* goroutine);
  bool FirstRecord(const Goroutine& goroutine, uintptr_t fp, Stack* stack, uintptr_t* record);
  CrossResult WalkGoroutine(StackMemory* memory, const Goroutine& goroutine, uintptr_t record, Registers* registers,
                            Stack* stack);
  CrossResult WalkSystemStack(StackMemory* memory, uintptr_t sp, uintptr_t record, Stack* stack);
  CrossResult EnterC(StackMemory* memory, uintptr_t record, Registers* registers, Stack* stack);
  bool IsReturnToGo(StackMemory* memory, uintptr_t sp, uintptr_t* fp) const;
  bool AddFrame(uintptr_t pc, Stack* stack) const;

  const GoFunctions* functions_;
  uint32_t module_id_;
  GoAbi abi_;
  // Set once a crossing came out in runtime.cgocall: from then on the words are known to mean what GoAbi says, and the
  // goroutine's memory is read without asking the kernel first.
  uint8_t verified_;
};

}  // namespace cgoprof

#endif  // CGOPROF_PRELOAD_GO_BOUNDARY_H_
