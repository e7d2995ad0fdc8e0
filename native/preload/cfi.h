// Compiles call frame information: finds the FDE that covers a PC and runs its program up to that PC, which gives one
// small rule of how to get from a frame to its caller. The unwinder keeps the rules in a cache, so this runs once per
// call site, not per frame.
//
// Format: LSB .eh_frame and .eh_frame_hdr, DWARF 5 section 6.4. Only what compilers emit for amd64 call sites can
// become a rule; anything else is kUnknown and ends the walk: no DWARF expression is ever evaluated. Every read is
// checked against the bounds in CfiTable, so that damaged tables give kUnknown too.
#ifndef CGOPROF_PRELOAD_CFI_H_
#define CGOPROF_PRELOAD_CFI_H_

#include <stdint.h>

namespace cgoprof {

enum class FrameKind : uint8_t {
  kUnknown,      // no rule: the walk ends here
  kEnd,          // outermost frame: its return address is undefined
  kCfaFromFp,    // CFA = FP + cfa_offset
  kCfaFromSlot,  // CFA = [FP + cfa_offset]; FP = [FP + 0]: a function that realigned its stack (GCC's DRAP)
  kSignal,       // the signal trampoline: registers come from the ucontext at SP
  // The kinds below do not come from CFI; see unwinder.h.
  kGoCall,   // inside runtime.asmcgocall
  kGoCode,   // any other Go code
  kGoNoCfi,  // C code of a Go program that was linked without unwind tables
  // From CFI again, and of nearly every frame; see call_site.h for its number.
  kCfaFromSp,  // CFA = SP + cfa_offset
};

// CFA: the value of SP in the caller, right after the call returned. The return address is at CFA - 8 (the amd64 ABI).
struct FrameRule {
  FrameKind kind;
  int32_t cfa_offset;  // bytes
  int32_t fp_offset;   // the caller's FP is at CFA + fp_offset; kFpUnchanged: still in the register
};
inline constexpr int32_t kFpUnchanged = 0;  // CFA + 0 cannot hold it, the caller's own frame starts there

struct CfiTable {
  uintptr_t hdr;    // address of .eh_frame_hdr
  uintptr_t start;  // every table byte lies in [start, end), and may be read
  uintptr_t end;
};

// Checks that [start, end) can be read before the compiler looks there: a library may be unloaded behind our back.
// nullptr where the image is sure to stay.
using RangeCheck = bool (*)(uintptr_t start, uintptr_t end);

// The rule for the frame whose PC is `pc` (for a return address: the address - 1, which is inside the call).
// Thread-safe, no allocation.
FrameRule CompileRule(const CfiTable& table, uintptr_t pc, RangeCheck check);

}  // namespace cgoprof

#endif  // CGOPROF_PRELOAD_CFI_H_
