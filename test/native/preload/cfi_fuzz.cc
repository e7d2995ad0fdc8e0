// Fuzzes the CFI compiler. An input is a PC, a choice, and then either the whole tables or the program of one function:
// programs grow and shrink freely, while tables, whose lengths must agree, are best mutated in place.
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <vector>

#include "preload/cfi.h"

namespace cgoprof {
namespace {

using Bytes = std::vector<uint8_t>;

constexpr uint32_t kFunctionOffset = 0x10000;  // from the tables
constexpr uint32_t kFunctionBytes = 0x100;
constexpr size_t kCieOffset = 24;  // behind .eh_frame_hdr with one row

void Add32(Bytes* bytes, uint32_t value) {
  for (int shift = 0; shift < 32; shift += 8) bytes->push_back(static_cast<uint8_t>(value >> shift));
}

// .eh_frame_hdr, one CIE and one FDE, all of whose pointers are relative, so that they mean the same wherever they lie.
Bytes TablesOf(const uint8_t* program, size_t size, bool signal_frame) {
  // Version 1; augmentation; alignments 1 and -8; return address 16; pcrel sdata4; cfa = rsp+8, return address at
  // cfa-8.
  Bytes cie = {1, 'z', 'R', signal_frame ? uint8_t{'S'} : uint8_t{'\0'}, 0, 1, 0x78, 16, 1, 0x1b, 0x0c, 7, 8, 0x90, 1};
  if (!signal_frame) cie.erase(cie.begin() + 4);
  const uint32_t fde_offset = static_cast<uint32_t>(kCieOffset + 8 + cie.size());
  Bytes tables = {1, 0x03, 0x03, 0x3b};
  for (const uint32_t word : {0u, 1u, 0u, fde_offset, 0u}) Add32(&tables, word);
  Add32(&tables, static_cast<uint32_t>(4 + cie.size()));
  Add32(&tables, 0);
  tables.insert(tables.end(), cie.begin(), cie.end());
  Add32(&tables, static_cast<uint32_t>(4 + 4 + 4 + 1 + size));
  Add32(&tables, static_cast<uint32_t>(fde_offset + 4 - kCieOffset));
  Add32(&tables, kFunctionOffset - (fde_offset + 8));
  Add32(&tables, kFunctionBytes);
  tables.push_back(0);
  tables.insert(tables.end(), program, program + size);
  return tables;
}

uintptr_t checked_start;
uintptr_t checked_end;

bool InsideTables(uintptr_t start, uintptr_t end) {
  if (start > end || start < checked_start || end > checked_end) abort();
  return true;
}

bool NothingIsReadable(uintptr_t, uintptr_t) { return false; }

// What the unwinder relies on.
void Check(const FrameRule& rule) {
  constexpr int32_t kMostOffset = 1 << 22;
  if (rule.kind > FrameKind::kSignal && rule.kind != FrameKind::kCfaFromSp) abort();
  if (rule.cfa_offset > kMostOffset || rule.cfa_offset < -kMostOffset) abort();
  if (rule.fp_offset != kFpUnchanged && (rule.fp_offset >= -8 || rule.fp_offset < -kMostOffset)) abort();
}

}  // namespace
}  // namespace cgoprof

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace cgoprof;
  constexpr size_t kFixedPart = 3;
  if (size < kFixedPart) return 0;
  enum Choice { kTables, kProgram, kSignalFrame, kChoices };
  const uint32_t pc_offset = (data[0] | uint32_t{data[1]} << 8) % (kFunctionBytes + 2);
  const Choice choice = Choice(data[2] % kChoices);
  data += kFixedPart;
  size -= kFixedPart;
  // In memory of just their size, for AddressSanitizer to watch.
  Bytes tables = choice == kTables ? Bytes(data, data + size) : TablesOf(data, size, choice == kSignalFrame);
  tables.shrink_to_fit();
  checked_start = reinterpret_cast<uintptr_t>(tables.data());
  checked_end = checked_start + tables.size();
  const CfiTable table = {checked_start, checked_start, checked_end};
  const uintptr_t pc = checked_start + kFunctionOffset - 1 + pc_offset;

  const FrameRule rule = CompileRule(table, pc, nullptr);
  Check(rule);
  const FrameRule again = CompileRule(table, pc, InsideTables);
  if (again.kind != rule.kind || again.cfa_offset != rule.cfa_offset || again.fp_offset != rule.fp_offset) abort();
  if (CompileRule(table, pc, NothingIsReadable).kind != FrameKind::kUnknown) abort();
  return 0;
}
