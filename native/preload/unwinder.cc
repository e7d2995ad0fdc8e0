// See unwinder.h.
#include "preload/unwinder.h"

#include <string.h>

#include "preload/readable.h"

namespace cgoprof {

// What to do at a return address that is not in the cache.
CallSite Unwinder::Resolve(uintptr_t pc) {
  constexpr FrameRule kNone = {FrameKind::kUnknown, 0, kFpUnchanged};
  const LoadedModule* module = modules_->Find(pc - 1);
  if (module == nullptr) return {kNone, 0};
  if (boundary_->ready() && module->is_executable) {
    const FrameKind kind = boundary_->KindOfCode(pc - 1, module->cfi.hdr != 0);
    if (kind != FrameKind::kUnknown) return {{kind, 0, kFpUnchanged}, module->segment_id};
  }
  if (module->cfi.hdr == 0) return {kNone, module->segment_id};
  return {CompileRule(module->cfi, pc - 1, module->is_executable ? nullptr : &IsRangeReadable), module->segment_id};
}

CallSite Unwinder::LookUp(uintptr_t pc) {
  const uint64_t generation = CallSiteCache::KeyOf(modules_->generation());
  PackedCallSite cached(0);
  if (cache_.Find(pc & kFramePcMask, generation, &cached)) return cached.Unpack();
  const CallSite site = Resolve(pc);
  // A PC in no module is not kept: its library may be loaded later.
  if (site.module_id != 0 && PackedCallSite::Fits(site.rule)) {
    cache_.Put(pc & kFramePcMask, generation, PackedCallSite(site));
  }
  return site;
}

// The same as LookUp and StepC where it is simple, which it is for nearly every frame: the call site is in the cache,
// and the caller's registers lie inside the window. Fills `frame`, but for its cursor. False, and nothing of use in
// `frame`, if not.
inline __attribute__((always_inline)) bool Unwinder::StepCached(const StackWindow& window, uint64_t generation,
                                                                Cursor* cursor, RememberedFrame* frame) const {
  const uintptr_t pc = cursor->pc & kFramePcMask;
  PackedCallSite site(0);
  if (!cache_.Find(pc, generation, &site)) return false;
  uintptr_t at = cursor->pc_at;
  if (__builtin_expect(site.is_cfa_from_sp(), 1)) {
    at += static_cast<uintptr_t>(site.cfa_offset());
    if (at > window.last) return false;
  } else {
    if (site.kind() != FrameKind::kCfaFromFp) return false;
    at = cursor->fp + static_cast<uintptr_t>(site.cfa_offset()) - sizeof(uintptr_t);
    if (at > window.last || at <= cursor->pc_at || (at & 7) != 0) return false;
    const uintptr_t fp_at = at + sizeof(uintptr_t) + static_cast<uintptr_t>(site.fp_offset());
    if (fp_at > window.last || fp_at <= cursor->pc_at) return false;
  }
  cursor->pc = WordAt(at);
  cursor->pc_at = at;
  frame->fp = {at, cursor->pc};
  if (site.is_fp_saved()) {
    frame->fp.at = at + sizeof(uintptr_t) + static_cast<uintptr_t>(site.fp_offset());
    frame->fp.value = cursor->fp = WordAt(frame->fp.at);
  }
  frame->word = site.FrameWord(pc);
  return true;
}

namespace {

Cursor CursorAt(const Registers& registers) { return {registers.pc, registers.sp - sizeof(uintptr_t), registers.fp}; }

Registers RegistersAt(const Cursor& cursor) { return {cursor.pc, cursor.pc_at + sizeof(uintptr_t), cursor.fp}; }

}  // namespace

// As long as it is simple. kDone if that was the whole stack; if not, leaves the first frame that is not simple.
Unwinder::Step Unwinder::WalkCached(const StackWindow& window, Registers* registers, Stack* stack) const {
  const uint64_t generation = CallSiteCache::KeyOf(modules_->generation());
  Cursor cursor = CursorAt(*registers);
  RememberedFrame frame;
  uint64_t* out = &stack->frames[stack->depth];
  uint64_t* const end = &stack->frames[kMaxStackDepth];
  while (out != end && StepCached(window, generation, &cursor, &frame)) *out++ = frame.word;
  const uintptr_t pc = cursor.pc & kFramePcMask;
  PackedCallSite site(0);
  const bool outermost = out != end && cache_.Find(pc, generation, &site) && site.kind() == FrameKind::kEnd;
  if (outermost) *out++ = site.FrameWord(pc);
  stack->depth = static_cast<uint32_t>(out - stack->frames);
  *registers = RegistersAt(cursor);
  return outermost ? Step::kDone : Step::kContinue;
}

namespace {

// Puts onto `stack` what may be taken over of the remembered frames from `at` on. Returns the first one that may not.
uint32_t TakeOver(const RememberedStack& last, uint32_t at, Stack* stack) {
  const uint32_t room = kMaxStackDepth - stack->depth;
  const RememberedFrame* frame = &last.frames[at];
  const RememberedFrame* const end = frame + (last.depth - at < room ? last.depth - at : room);
  uint64_t* out = &stack->frames[stack->depth];
  for (; frame != end && StillLeadsTo(*frame); frame++) *out++ = frame->word;
  stack->depth = static_cast<uint32_t>(out - stack->frames);
  return static_cast<uint32_t>(frame - last.frames);
}

}  // namespace

// The same, with the help of what the thread's last walk met. True if that is to be forgotten for what this one did.
bool Unwinder::WalkRemembered(const StackWindow& window, StackMemo* memo, Registers* registers, Stack* stack) const {
  const RememberedStack& last = memo->last();
  RememberedStack* next = memo->next();
  const uint16_t generation = modules_->generation();
  const uint64_t key = CallSiteCache::KeyOf(generation);
  const uint32_t known = last.generation == generation && last.window_last == window.last ? last.depth : 0;
  uint32_t at = 0;      // in `last`: the first frame that is not further down than ours
  uint32_t common = 0;  // as many frames are as in `last`, and not in `next` yet
  Cursor cursor = CursorAt(*registers);
  while (true) {
    while (at < known && last.frames[at].cursor.pc_at < cursor.pc_at) at++;
    if (at < known && last.frames[at].cursor == cursor) {
      const uint32_t first = at, depth = stack->depth;
      at = TakeOver(last, first, stack);
      if (first == 0 && depth == 0)
        common = at;
      else
        memcpy(&next->frames[depth], &last.frames[first], (at - first) * sizeof(RememberedFrame));
      cursor = last.frames[at].cursor;
    }
    if (stack->depth == kMaxStackDepth) break;
    RememberedFrame* frame = &next->frames[stack->depth];
    frame->cursor = cursor;
    if (!StepCached(window, key, &cursor, frame)) break;
    stack->frames[stack->depth++] = frame->word;
  }
  *registers = RegistersAt(cursor);
  if (common == last.depth && common == stack->depth) return false;
  memcpy(&next->frames[0], &last.frames[0], common * sizeof(RememberedFrame));
  next->frames[stack->depth].cursor = cursor;
  next->window_last = window.last;
  next->generation = generation;
  next->depth = stack->depth;
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
  HomeStack elsewhere = kNoHome;
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
  if (memo != nullptr) memo->Return(WalkRemembered(memory.window(), memo, &registers, stack));
  while (WalkCached(memory.window(), &registers, stack) == Step::kContinue &&
         StepOver(&memory, &registers, stack) == Step::kContinue) {
  }
}

}  // namespace cgoprof
