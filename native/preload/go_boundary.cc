// See go_boundary.h.
#include "preload/go_boundary.h"

#include "preload/readable.h"

namespace cgoprof {
namespace {

constexpr uintptr_t kMostGoStack = uintptr_t{1} << 30;  // runtime.maxstacksize on 64-bit

// The callback offsets follow from crosscall2's save area (runtime/cgo/abi_amd64.h), which starts 40 bytes above
// cgocallback's record: 16 for the record and return address, 24 for its arguments. From Go 1.22 on crosscall2 has a
// frame record of its own, one word more.
constexpr GoAbi kGo118 = {48, 40, false, 40 + 40, 40 + 48, 40 + 56};
constexpr GoAbi kGo121 = {48, 40, true, 40 + 40, 40 + 48, 40 + 56};
constexpr GoAbi kGo122 = {8, 0, true, 40 + 48, 40 + 56, 40 + 64};

// The versions are told apart by the code itself; a version string may be missing or somebody's own.
GoAbi DetectAbi(const GoFunctions& functions) {
  constexpr uint8_t kPushRbp = 0x55;
  if (functions.asmcgocall_landingpad.count > 0) return kGo122;
  for (uint32_t i = 0; i < functions.asmcgocall.count; i++) {
    if (*reinterpret_cast<const uint8_t*>(functions.asmcgocall.ranges[i].start) == kPushRbp) return kGo121;
  }
  return kGo118;
}

uintptr_t LoadWord(uintptr_t address) { return *reinterpret_cast<const uintptr_t*>(address); }

}  // namespace

void GoBoundary::Init(const GoFunctions* functions, uint32_t module_id) {
  functions_ = functions;
  module_id_ = module_id;
  abi_ = DetectAbi(*functions);
  verified_ = 0;
}

bool GoBoundary::AddFrame(uintptr_t pc, Stack* stack) const {
  if (stack->depth == kMaxStackDepth) return false;
  stack->frames[stack->depth++] = MakeFrame(module_id_, pc);
  return true;
}

bool GoBoundary::FindGoroutine(uintptr_t g, uintptr_t depth, Goroutine* goroutine) {
  const bool verified = __atomic_load_n(&verified_, __ATOMIC_RELAXED) != 0;
  if ((g & 7) != 0 || (!verified && (!IsReadable(g) || !IsReadable(g + 8)))) return false;
  goroutine->low = LoadWord(g);       // g.stack.lo
  goroutine->high = LoadWord(g + 8);  // g.stack.hi
  goroutine->sp = goroutine->high - depth;
  return goroutine->low < goroutine->high && goroutine->high - goroutine->low <= kMostGoStack &&
         goroutine->sp > goroutine->low && depth >= 32 && (goroutine->sp & 7) == 0 &&
         (verified || IsReadable(goroutine->sp));
}

// Adds the frame of asmcgocall's caller and sets the frame record from which the chain goes on. The caller is
// runtime.cgocall when user code called C, another runtime function when the runtime did (to start a thread, say).
bool GoBoundary::FirstRecord(const Goroutine& goroutine, uintptr_t fp, Stack* stack, uintptr_t* record) {
  const uintptr_t return_slot = goroutine.sp + (abi_.frame_record ? 8 : 0);
  const uintptr_t pc = LoadWord(return_slot);
  if (!functions_->text.Contains(pc)) return false;
  const bool from_cgocall = functions_->cgocall.Contains(pc);
  if (from_cgocall) __atomic_store_n(&verified_, 1, __ATOMIC_RELAXED);
  AddFrame(pc, stack);
  if (abi_.frame_record) {
    *record = LoadWord(goroutine.sp);
  } else if (from_cgocall && functions_->cgocall_frame_bytes != 0) {
    // The last word of cgocall's frame, right below its return address.
    *record = return_slot + 8 + functions_->cgocall_frame_bytes - 8;
  } else {
    // No callback can have moved this stack, so what C preserved is the caller's record.
    *record = fp;
  }
  return true;
}

CrossResult GoBoundary::WalkGoroutine(StackMemory* memory, const Goroutine& goroutine, uintptr_t record,
                                      Registers* registers, Stack* stack) {
  uintptr_t below = goroutine.sp;
  while (record != 0) {
    if (record <= below || record > goroutine.high - 16 || (record & 7) != 0) return CrossResult::kUnreachable;
    const uintptr_t pc = LoadWord(record + 8);
    if (!functions_->text.Contains(pc)) return CrossResult::kUnreachable;
    if (!AddFrame(pc, stack)) return CrossResult::kTooDeep;
    below = record;
    record = LoadWord(record);
    if (functions_->cgocallback.Contains(pc)) return EnterC(memory, record, registers, stack);
  }
  return CrossResult::kEndOfStack;
}

// asmcgocall was called on the thread's own stack (the scheduler starting a thread, say): Go frames below C frames,
// with nothing of the user's among them.
CrossResult GoBoundary::WalkSystemStack(StackMemory* memory, uintptr_t sp, uintptr_t record, Stack* stack) {
  uintptr_t below = 0;
  uintptr_t pc, next;
  // Without a record of its own, asmcgocall's caller is not in the chain.
  if (!abi_.frame_record && memory->Load(sp, &pc) && functions_->text.Contains(pc) && !AddFrame(pc, stack)) {
    return CrossResult::kTooDeep;
  }
  while (record > below && memory->Load(record + 8, &pc) && memory->Load(record, &next)) {
    if (!functions_->text.Contains(pc)) break;
    if (!AddFrame(pc, stack)) return CrossResult::kTooDeep;
    below = record;
    record = next;
  }
  return CrossResult::kEndOfStack;
}

CrossResult GoBoundary::EnterC(StackMemory* memory, uintptr_t record, Registers* registers, Stack* stack) {
  uintptr_t crosscall;
  if (record <= registers->sp || !memory->Load(record + 8, &crosscall) ||
      !memory->Load(record + abi_.callback_fp, &registers->fp) ||
      !memory->Load(record + abi_.callback_return, &registers->pc)) {
    return CrossResult::kUnreachable;
  }
  registers->sp = record + abi_.callback_sp;
  return AddFrame(crosscall, stack) ? CrossResult::kContinueInC : CrossResult::kTooDeep;
}

FrameKind GoBoundary::KindOfCode(uintptr_t address, bool has_unwind_tables) const {
  if (functions_->asmcgocall.Contains(address)) return FrameKind::kGoCall;
  if (functions_->rt0_go.Contains(address)) return FrameKind::kGoCode;
  if (!has_unwind_tables) return FrameKind::kGoNoCfi;
  return functions_->text.Contains(address) ? FrameKind::kGoCode : FrameKind::kUnknown;
}

CrossResult GoBoundary::Cross(StackMemory* memory, Registers* registers, Stack* stack) {
  uintptr_t g, depth, record;
  if (!memory->Load(registers->sp + abi_.g_slot, &g) || !memory->Load(registers->sp + abi_.depth_slot, &depth)) {
    return CrossResult::kUnreachable;
  }
  // Called on the thread's own stack, it keeps its SP where the depth is otherwise.
  if (g == 0) return WalkSystemStack(memory, depth, registers->fp, stack);
  Goroutine goroutine;
  if (!FindGoroutine(g, depth, &goroutine)) return CrossResult::kUnreachable;
  if (stack->depth == kMaxStackDepth) return CrossResult::kTooDeep;
  if (!FirstRecord(goroutine, registers->fp, stack, &record)) return CrossResult::kUnreachable;
  return WalkGoroutine(memory, goroutine, record, registers, stack);
}

// Whether the words at a return into asmcgocall are what they must be, asked of the kernel step by step: what the
// search met may be a left-over of an earlier call. Sets `fp` to asmcgocall's frame record, 0 if it is not known.
bool GoBoundary::IsReturnToGo(StackMemory* memory, uintptr_t sp, uintptr_t* fp) const {
  uintptr_t g, depth;
  if (!memory->Load(sp + abi_.g_slot, &g) || !memory->Load(sp + abi_.depth_slot, &depth)) return false;
  *fp = 0;
  if (g == 0) {
    constexpr uintptr_t kMostBytes = 128;
    if (abi_.frame_record) *fp = depth;
    return depth > sp && depth - sp <= kMostBytes && (depth & 7) == 0;
  }
  if ((g & 7) != 0 || !IsReadable(g) || !IsReadable(g + 8)) return false;
  const uintptr_t return_slot = LoadWord(g + 8) - depth + (abi_.frame_record ? 8 : 0);
  return (return_slot & 7) == 0 && return_slot > LoadWord(g) && IsReadable(return_slot) &&
         functions_->text.Contains(LoadWord(return_slot));
}

bool GoBoundary::FindReturnToGo(StackMemory* memory, uintptr_t sp, Registers* registers) const {
  // The C side of runtime/cgo and of cgo's wrappers has small frames.
  constexpr uintptr_t kMostBytes = 2048;
  uintptr_t word, fp;
  for (uintptr_t at = sp; at < sp + kMostBytes && memory->Load(at, &word); at += 8) {
    const bool crosses = functions_->asmcgocall.Contains(word) && IsReturnToGo(memory, at + 8, &fp);
    if (!crosses && !functions_->rt0_go.Contains(word)) continue;
    *registers = {word, at + 8, crosses ? fp : 0};
    return true;
  }
  return false;
}

}  // namespace cgoprof
