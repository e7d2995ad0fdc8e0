// See signal_frame.h.
#include "addon/signal_frame.h"

#include <cpuid.h>
#include <string.h>

#include <algorithm>

namespace cgoprof {
namespace {

// struct rt_sigframe.
struct Frame {
  uint64_t restorer;
  // struct ucontext
  uint64_t flags;
  uint64_t link;
  uint64_t alternate_stack;
  uint32_t alternate_stack_flags;
  uint32_t padding;
  uint64_t alternate_stack_bytes;
  // struct sigcontext
  uint64_t r8, r9, r10, r11, r12, r13, r14, r15;
  uint64_t rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip, eflags;
  uint16_t cs, gs, fs, ss;
  uint64_t error, trap, old_mask, fault_address;
  uint64_t extended;
  uint64_t reserved[8];
  uint64_t signal_mask;
  uint8_t info[128];
};
static_assert(sizeof(Frame) == 440);

// struct _fpx_sw_bytes, in the bytes of the FXSAVE area that are software's.
struct ExtendedHeader {
  uint32_t magic;
  uint32_t extended_bytes;
  uint64_t features;
  uint32_t state_bytes;
  uint32_t padding[7];
};
constexpr size_t kExtendedHeaderAt = 464;
constexpr size_t kFxsaveBytes = 512;
constexpr size_t kXsaveHeaderBytes = 64;
constexpr uint32_t kMagic1 = 0x46505853;
constexpr uint32_t kMagic2 = 0x46505845;
constexpr int kTileData = 18;

uint64_t FeaturesOf(const std::string& extended, size_t at) {
  uint64_t features = 0;
  if (extended.size() >= at + sizeof(features)) memcpy(&features, extended.data() + at, sizeof(features));
  return features;
}

void FillRegisters(const ThreadState& state, Frame* frame) {
  const user_regs_struct& r = state.registers;
  frame->r8 = r.r8, frame->r9 = r.r9, frame->r10 = r.r10, frame->r11 = r.r11;
  frame->r12 = r.r12, frame->r13 = r.r13, frame->r14 = r.r14, frame->r15 = r.r15;
  frame->rdi = r.rdi, frame->rsi = r.rsi, frame->rbp = r.rbp, frame->rbx = r.rbx;
  frame->rdx = r.rdx, frame->rax = r.rax, frame->rcx = r.rcx, frame->rsp = r.rsp;
  frame->rip = r.rip, frame->eflags = r.eflags;
  frame->cs = static_cast<uint16_t>(r.cs), frame->ss = static_cast<uint16_t>(r.ss);
  frame->signal_mask = state.signal_mask;
}

std::string MakeExtended(const std::string& extended) {
  const uint32_t bytes = FrameExtendedBytes(extended);
  std::string area = extended.substr(0, bytes);
  area.resize(bytes);
  const uint64_t features = FeaturesOf(extended, kExtendedHeaderAt);
  const ExtendedHeader header = {kMagic1, bytes + static_cast<uint32_t>(sizeof(kMagic2)), features, bytes, {}};
  memcpy(area.data() + kExtendedHeaderAt, &header, sizeof(header));
  return area.append(reinterpret_cast<const char*>(&kMagic2), sizeof(kMagic2));
}

}  // namespace

uint32_t FrameExtendedBytes(const std::string& extended) {
  uint64_t features = FeaturesOf(extended, kExtendedHeaderAt);
  const uint64_t in_use = FeaturesOf(extended, kFxsaveBytes);
  if ((in_use >> kTileData & 1) == 0) features &= ~(uint64_t{1} << kTileData);
  uint32_t bytes = kFxsaveBytes + kXsaveHeaderBytes;
  for (unsigned feature = 2; feature < 63; ++feature) {
    unsigned size = 0, offset = 0, c = 0, d = 0;
    if ((features >> feature & 1) == 0 || __get_cpuid_count(0xd, feature, &size, &offset, &c, &d) == 0) continue;
    bytes = std::max(bytes, offset + size);
  }
  return std::min(bytes, static_cast<uint32_t>(std::max(extended.size(), kFxsaveBytes + kXsaveHeaderBytes)));
}

SignalFrame MakeSignalFrame(const ThreadState& state, uint64_t top, uint64_t restorer) {
  constexpr uint64_t kHasExtended = 1, kHasSs = 2, kStrictSs = 4;
  constexpr uint32_t kNoSuchMode = 3;  // sigaltstack refuses it, and the one that is set stays
  const std::string extended = MakeExtended(state.extended);
  const uint64_t extended_at = (top - extended.size()) & ~uint64_t{63};
  Frame frame = {};
  frame.restorer = restorer;
  frame.flags = kHasExtended | kHasSs | kStrictSs;
  frame.alternate_stack_flags = kNoSuchMode;
  FillRegisters(state, &frame);
  frame.extended = extended_at;
  // As at a function's first instruction.
  const uint64_t address = ((extended_at - sizeof(frame)) & ~uint64_t{15}) - 8;
  std::string bytes(extended_at + extended.size() - address, '\0');
  memcpy(bytes.data(), &frame, sizeof(frame));
  memcpy(bytes.data() + (extended_at - address), extended.data(), extended.size());
  return {address, bytes};
}

}  // namespace cgoprof
