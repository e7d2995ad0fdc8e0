// See unwinder.h.
#include "preload/unwinder.h"

#include <string.h>

#include "preload/readable.h"

namespace cgoprof {
namespace {

// A call site in a word: module 16 | nothing 4 | FP offset / 8: 20 | CFA offset / 8: 20 | kind 4. The module lies where
// a frame word has it.
constexpr int kOffsetBits = 20;
constexpr int kCfaShift = 4, kFpShift = 24;
constexpr int32_t kOffsetLimit = 1 << (kOffsetBits - 1);

bool Packable(int32_t offset) { return offset % 8 == 0 && offset / 8 < kOffsetLimit && offset / 8 >= -kOffsetLimit; }

// Frames go up; a rule that does not would make the walk run in circles.
bool Packable(const FrameRule& rule) {
  return Packable(rule.cfa_offset) && Packable(rule.fp_offset) &&
         (rule.kind != FrameKind::kCfaFromSp || rule.cfa_offset > 0);
}

uint64_t PackOffset(int32_t offset) { return static_cast<uint64_t>(offset / 8) & ((1u << kOffsetBits) - 1); }

int64_t UnpackOffset(uint64_t value, int shift) {
  return (static_cast<int64_t>(value << (64 - kOffsetBits - shift)) >> (64 - kOffsetBits)) * 8;
}

uint64_t Pack(const FrameRule& rule, uint32_t module_id) {
  return static_cast<uint64_t>(rule.kind) | PackOffset(rule.cfa_offset) << kCfaShift |
         PackOffset(rule.fp_offset) << kFpShift | uint64_t{module_id} << kFramePcBits;
}

FrameRule Unpack(uint64_t value) {
  return {static_cast<FrameKind>(value & 15), static_cast<int32_t>(UnpackOffset(value, kCfaShift)),
          static_cast<int32_t>(UnpackOffset(value, kFpShift))};
}

}  // namespace

// What to do at a return address that is not in the cache.
Unwinder::CallSite Unwinder::Resolve(uintptr_t pc) {
  constexpr FrameRule kNone = {FrameKind::kUnknown, 0, kFpUnchanged};
  const LoadedModule* module = modules_->Find(pc - 1);
  if (module == nullptr) return {kNone, 0};
  if (boundary_->ready() && module->is_executable) {
    const FrameKind kind = boundary_->KindOfCode(pc - 1, module->cfi.hdr != 0);
    if (kind != FrameKind::kUnknown) return {{kind, 0, kFpUnchanged}, module->segment_id};
  }
  if (module->cfi.hdr == 0) return {kNone, module->segment_id};
  FrameRule rule = CompileRule(module->cfi, pc - 1, module->is_executable ? nullptr : &IsRangeReadable);
  if (!Packable(rule)) rule = kNone;
  return {rule, module->segment_id};
}

Unwinder::CallSite Unwinder::LookUp(uintptr_t pc) {
  const uint64_t key = MakeFrame(modules_->generation(), pc);
  Slot* slot = SlotOf(pc);
  const uint64_t value = __atomic_load_n(&slot->value, __ATOMIC_RELAXED);
  if ((__atomic_load_n(&slot->check, __ATOMIC_RELAXED) ^ value) == key) {
    return {Unpack(value), static_cast<uint32_t>(value >> kFramePcBits)};
  }
  const CallSite site = Resolve(pc);
  // A PC in no module is not kept: its library may be loaded later.
  if (site.module_id == 0) return site;
  const uint64_t resolved = Pack(site.rule, site.module_id);
  __atomic_store_n(&slot->check, key ^ resolved, __ATOMIC_RELAXED);
  __atomic_store_n(&slot->value, resolved, __ATOMIC_RELAXED);
  return site;
}

// The same as LookUp and StepC where it is simple, which it is for nearly every frame: the call site is in the cache,
// and the caller's registers lie inside the window. Fills `frame`, but for its registers. False, and nothing changed,
// if not.
inline __attribute__((always_inline)) bool Unwinder::StepCached(const StackMemory& memory, uint16_t generation,
                                                                Registers* registers, RememberedFrame* frame) const {
  const uintptr_t pc = registers->pc & kFramePcMask;
  const Slot* slot = SlotOf(pc);
  const uint64_t value = __atomic_load_n(&slot->value, __ATOMIC_RELAXED);
  if ((__atomic_load_n(&slot->check, __ATOMIC_RELAXED) ^ value) != (uint64_t{generation} << kFramePcBits | pc)) {
    return false;
  }
  const FrameKind kind = static_cast<FrameKind>(value & 15);
  uintptr_t cfa = registers->sp;
  if (__builtin_expect(kind != FrameKind::kCfaFromSp, 0)) {
    if (kind != FrameKind::kCfaFromFp) return false;
    cfa = registers->fp;
  }
  cfa += UnpackOffset(value, kCfaShift);
  if (!memory.Has(cfa - 8)) return false;
  if (kind == FrameKind::kCfaFromFp && (cfa <= registers->sp || (cfa & 7) != 0)) return false;
  const int64_t fp_offset = UnpackOffset(value, kFpShift);
  frame->fp_slot = 0;
  if (fp_offset != kFpUnchanged) {
    frame->fp_slot = cfa + fp_offset;
    if (!memory.Has(frame->fp_slot)) return false;
    registers->fp = *reinterpret_cast<const uintptr_t*>(frame->fp_slot);
  }
  frame->word = (value & ~kFramePcMask) | pc;
  registers->pc = *reinterpret_cast<const uintptr_t*>(cfa - 8);
  registers->sp = cfa;
  return true;
}

// As long as it is simple. Leaves the first frame that is not.
void Unwinder::WalkCached(const StackMemory& memory, Registers* registers, Stack* stack) const {
  const uint16_t generation = modules_->generation();
  Registers r = *registers;
  RememberedFrame frame;
  while (stack->depth != kMaxStackDepth && StepCached(memory, generation, &r, &frame)) {
    stack->frames[stack->depth++] = frame.word;
  }
  *registers = r;
}

namespace {

// Puts onto `stack` what may be taken over of the remembered frames from `at` on. Returns the first one that may not.
uint32_t TakeOver(const RememberedStack& last, uint32_t at, const StackMemory& memory, Stack* stack) {
  uint32_t depth = stack->depth;
  while (at < last.depth && depth < kMaxStackDepth && StillLeadsTo(last.frames[at], memory)) {
    stack->frames[depth++] = last.frames[at++].word;
  }
  stack->depth = depth;
  return at;
}

}  // namespace

// The same, with the help of what the thread's last walk met. True if that is to be forgotten for what this one did.
bool Unwinder::WalkRemembered(const StackMemory& memory, StackMemo* memo, Registers* registers, Stack* stack) const {
  const RememberedStack& last = memo->last();
  RememberedStack* next = memo->next();
  const uint16_t generation = modules_->generation();
  const uint32_t known = last.generation == generation ? last.depth : 0;
  uint32_t at = 0;      // in `last`: the first frame that is not further down than ours
  uint32_t common = 0;  // as many frames are as in `last`, and not in `next` yet
  Registers r = {registers->pc & kFramePcMask, registers->sp, registers->fp};
  do {
    while (at < known && last.frames[at].registers.sp < r.sp) at++;
    if (at < known && last.frames[at].registers == r) {
      const uint32_t first = at, depth = stack->depth;
      at = TakeOver(last, first, memory, stack);
      if (first == 0 && depth == 0)
        common = at;
      else
        memcpy(&next->frames[depth], &last.frames[first], (at - first) * sizeof(RememberedFrame));
      r = last.frames[at].registers;
    }
    next->frames[stack->depth].registers = r;
  } while (StepRemembered(memory, generation, &r, next, stack));
  *registers = r;
  if (common == last.depth && common == stack->depth) return false;
  memcpy(&next->frames[0], &last.frames[0], common * sizeof(RememberedFrame));
  next->generation = generation;
  next->depth = stack->depth;
  return true;
}

bool Unwinder::StepRemembered(const StackMemory& memory, uint16_t generation, Registers* registers,
                              RememberedStack* next, Stack* stack) const {
  RememberedFrame* frame = &next->frames[stack->depth];
  if (stack->depth == kMaxStackDepth || !StepCached(memory, generation, registers, frame)) return false;
  registers->pc &= kFramePcMask;
  stack->frames[stack->depth++] = frame->word;
  return true;
}

Unwinder::Step Unwinder::StepC(const FrameRule& rule, StackMemory* memory, Registers* r, Stack* stack) {
  uintptr_t cfa = rule.kind == FrameKind::kCfaFromSp ? r->sp + rule.cfa_offset : r->fp + rule.cfa_offset;
  uintptr_t fp = r->fp;
  uintptr_t pc;
  bool ok = true;
  if (rule.kind == FrameKind::kCfaFromSlot) ok = memory->Load(cfa, &cfa) && memory->Load(r->fp, &fp);
  // Frames go up; one that does not would make the walk run in circles.
  ok = ok && cfa > r->sp && memory->Load(cfa - 8, &pc);
  if (ok && rule.fp_offset != kFpUnchanged) ok = memory->Load(cfa + rule.fp_offset, &fp);
  if (!ok) {
    stack->flags |= kStackTruncated;
    return Step::kDone;
  }
  *r = {pc, cfa, fp};
  return Step::kContinue;
}

// A signal handler's caller is the kernel; the interrupted registers are in the ucontext at SP
// (struct rt_sigframe, arch/x86/kernel/signal_64.c; offsets of uc_mcontext.gregs in sys/ucontext.h).
Unwinder::Step Unwinder::StepSignal(StackMemory* memory, Registers* r, Stack* stack) {
  constexpr uintptr_t kGregs = 40;
  constexpr uintptr_t kFp = kGregs + 10 * 8, kSp = kGregs + 15 * 8, kPc = kGregs + 16 * 8;
  uintptr_t pc, sp, fp;
  if (!memory->Load(r->sp + kPc, &pc) || !memory->Load(r->sp + kSp, &sp) || !memory->Load(r->sp + kFp, &fp) ||
      !IsReadable((sp - 8) & ~uintptr_t{7})) {
    stack->flags |= kStackTruncated;
    return Step::kDone;
  }
  // The interrupted instruction is no return address; + 1 makes it look like one, as every frame word must.
  *r = {pc + 1, sp, fp};
  HomeStack elsewhere = {0, 0, 255};
  *memory = StackMemory(sp, &elsewhere);
  return Step::kContinue;
}

Unwinder::Step Unwinder::StepGo(StackMemory* memory, Registers* r, Stack* stack) {
  switch (boundary_->Cross(memory, r, stack)) {
    case CrossResult::kContinueInC:
      return Step::kContinue;
    case CrossResult::kEndOfStack:
      return Step::kDone;
    case CrossResult::kTooDeep:
      stack->flags |= kStackTruncated;
      return Step::kDone;
    case CrossResult::kUnreachable:
      stack->flags |= kStackTruncated | kStackGoUnreachable;
      return Step::kDone;
  }
  return Step::kDone;
}

Unwinder::Step Unwinder::StepWithoutCfi(StackMemory* memory, Registers* r, Stack* stack) {
  if (boundary_->FindReturnToGo(memory, r->sp, r)) return Step::kContinue;
  stack->flags |= kStackTruncated;
  return Step::kDone;
}

// One frame in full.
Unwinder::Step Unwinder::StepOver(StackMemory* memory, Registers* registers, Stack* stack) {
  if (stack->depth == kMaxStackDepth) {
    stack->flags |= kStackTruncated;
    return Step::kDone;
  }
  const CallSite site = LookUp(registers->pc);
  stack->frames[stack->depth++] = MakeFrame(site.module_id, registers->pc);
  switch (site.rule.kind) {
    case FrameKind::kCfaFromSp:
    case FrameKind::kCfaFromFp:
    case FrameKind::kCfaFromSlot:
      return StepC(site.rule, memory, registers, stack);
    case FrameKind::kSignal:
      return StepSignal(memory, registers, stack);
    case FrameKind::kGoCall:
      return StepGo(memory, registers, stack);
    case FrameKind::kGoNoCfi:
      return StepWithoutCfi(memory, registers, stack);
    case FrameKind::kEnd:
    // Go code that called C without asmcgocall is the runtime starting up or making a thread: no user code above it.
    case FrameKind::kGoCode:
      return Step::kDone;
    case FrameKind::kUnknown:
      break;
  }
  stack->flags |= kStackTruncated;
  return Step::kDone;
}

void Unwinder::Walk(Registers start, HomeStack* home, Stack* stack) {
  StackMemory memory(start.sp, home);
  Registers registers = start;
  stack->depth = 0;
  stack->flags = 0;
  StackMemo* memo = dense_ ? StackMemo::Take(memos_, kMemos) : nullptr;
  if (memo != nullptr) memo->Return(WalkRemembered(memory, memo, &registers, stack));
  do {
    WalkCached(memory, &registers, stack);
  } while (StepOver(&memory, &registers, stack) == Step::kContinue);
}

}  // namespace cgoprof
