// See cfi.h. In two parts: the search for the FDE, and the CFA program.
#include "preload/cfi.h"

#include "preload/dwarf_reader.h"

namespace cgoprof {
namespace {

// DWARF numbers of amd64 registers.
constexpr uint64_t kRegFp = 6;
constexpr uint64_t kRegSp = 7;
constexpr uint64_t kRegReturnAddress = 16;

// The bounds of one compilation and the check for memory that may have gone.
class Source {
 public:
  Source(const CfiTable& table, RangeCheck check) : table_(table), check_(check) {}
  // A reader of [start, start + length), or of nothing if that is not all table.
  Reader At(uintptr_t start, uint64_t length) const {
    uintptr_t end;
    const bool inside = start >= table_.start && !__builtin_add_overflow(start, length, &end) && end <= table_.end;
    if (!inside || (check_ != nullptr && !check_(start, end))) return Reader(0, 0);
    return Reader(start, end);
  }

 private:
  const CfiTable& table_;
  RangeCheck check_;
};

// ---- The search ----

// Address of the FDE for `pc` by the sorted table of .eh_frame_hdr, or 0.
uintptr_t FindFde(const Source& source, uintptr_t hdr, uintptr_t pc) {
  constexpr uint64_t kFixedPart = 4;
  constexpr uint64_t kMostPointers = 16;
  constexpr uint64_t kRow = 8;
  Reader r = source.At(hdr, kFixedPart + kMostPointers);
  if (r.Fixed<uint8_t>() != 1) return 0;
  const uint8_t frame_encoding = r.Fixed<uint8_t>();
  const uint8_t count_encoding = r.Fixed<uint8_t>();
  if (r.Fixed<uint8_t>() != kPeSortedTable || count_encoding == kPeOmit) return 0;
  r.Pointer(frame_encoding);
  const uint64_t count = r.Pointer(count_encoding);
  if (!r.ok()) return 0;
  const uintptr_t rows = r.position();

  // The last row whose start is <= pc.
  uint64_t low = 0, high = count;
  while (low < high) {
    const uint64_t middle = low + (high - low) / 2;
    Reader row = source.At(rows + middle * kRow, kRow);
    const uintptr_t start = hdr + static_cast<uint64_t>(int64_t{row.Fixed<int32_t>()});
    if (!row.ok()) return 0;
    if (start <= pc)
      low = middle + 1;
    else
      high = middle;
  }
  if (low == 0) return 0;
  Reader row = source.At(rows + (low - 1) * kRow, kRow);
  row.Fixed<int32_t>();
  const uintptr_t fde = hdr + static_cast<uint64_t>(int64_t{row.Fixed<int32_t>()});
  return row.ok() ? fde : 0;
}

// The body of the CIE or FDE at `address`, without its length field; empty if damaged.
Reader OpenEntry(const Source& source, uintptr_t address) {
  Reader length_field = source.At(address, 4);
  const uint32_t length = length_field.Fixed<uint32_t>();
  constexpr uint32_t kExtendedLength = 0xffffffff;
  if (!length_field.ok() || length == 0 || length == kExtendedLength) return Reader(0, 0);
  return source.At(address + 4, length);
}

struct Cie {
  Reader program{0, 0};
  uint64_t code_align = 1;
  int64_t data_align = 1;
  uint8_t pointer_encoding = kPeAbsPtr;
  bool has_augmentation = false;
  bool is_signal_frame = false;
};

bool ReadAugmentation(Reader* r, const char* letters, size_t count, Cie* cie) {
  cie->has_augmentation = true;
  const uint64_t length = r->Uleb();
  const uintptr_t end = r->position() + length;
  if (length > r->remaining()) return false;
  for (size_t i = 1; i < count; i++) {
    if (letters[i] == 'R')
      cie->pointer_encoding = r->Fixed<uint8_t>();
    else if (letters[i] == 'L')
      r->Fixed<uint8_t>();
    else if (letters[i] == 'P')
      r->Pointer(r->Fixed<uint8_t>() & 0x0f);
    else if (letters[i] == 'S')
      cie->is_signal_frame = true;
    else
      break;
  }
  if (!r->ok() || r->position() > end) return false;
  r->Skip(end - r->position());
  return r->ok();
}

bool ReadCie(Reader r, Cie* cie) {
  constexpr size_t kMostLetters = 8;
  if (r.Fixed<uint32_t>() != 0) return false;  // a CIE's id
  const uint8_t version = r.Fixed<uint8_t>();
  char letters[kMostLetters] = {};
  size_t count = 0;
  for (char c; (c = static_cast<char>(r.Fixed<uint8_t>())) != '\0' && r.ok();) {
    if (count == kMostLetters) return false;
    letters[count++] = c;
  }
  cie->code_align = r.Uleb();
  cie->data_align = r.Sleb();
  const uint64_t return_register = version == 1 ? r.Fixed<uint8_t>() : r.Uleb();
  if (!r.ok() || return_register != kRegReturnAddress) return false;
  if (count > 0 && (letters[0] != 'z' || !ReadAugmentation(&r, letters, count, cie))) return false;
  cie->program = r;
  return r.ok();
}

// ---- The program ----

// Call frame instructions (DWARF 5, section 7.24) without an operand in the opcode itself. Those that have one are told
// by its two highest bits.
enum Instruction : uint8_t {
  kNop = 0x00,
  kSetLoc = 0x01,
  kAdvanceLoc1 = 0x02,
  kAdvanceLoc2 = 0x03,
  kAdvanceLoc4 = 0x04,
  kOffsetExtended = 0x05,
  kRestoreExtended = 0x06,
  kUndefined = 0x07,
  kSameValue = 0x08,
  kRegister = 0x09,
  kRememberState = 0x0a,
  kRestoreState = 0x0b,
  kDefCfa = 0x0c,
  kDefCfaRegister = 0x0d,
  kDefCfaOffset = 0x0e,
  kDefCfaExpression = 0x0f,
  kExpression = 0x10,
  kOffsetExtendedSf = 0x11,
  kDefCfaSf = 0x12,
  kDefCfaOffsetSf = 0x13,
  kValOffset = 0x14,
  kValOffsetSf = 0x15,
  kValExpression = 0x16,
  kGnuArgsSize = 0x2e,
  kGnuNegativeOffsetExtended = 0x2f,
  kAdvanceLoc = 0x40,
  kOffset = 0x80,
  kRestore = 0xc0,
};
constexpr uint8_t kWithOperand = 0xc0;  // mask

// The rows of a frame, as far as a FrameRule can use them.
struct Row {
  enum class Cfa : uint8_t { kUnset, kSp, kFp, kFpSlot, kOther } cfa = Cfa::kUnset;
  enum class Fp : uint8_t { kUnchanged, kAtCfa, kAtFp, kOther } fp = Fp::kUnchanged;
  bool return_at_cfa_minus_8 = true;
  bool return_undefined = false;
  int64_t cfa_offset = 0;
  int64_t fp_offset = 0;
};

class Program {
 public:
  explicit Program(const Cie& cie) : cie_(cie) {}

  // Runs until the location passes `pc`. False if the program is damaged.
  bool Run(Reader r, uint64_t location, uint64_t pc) {
    while (!r.AtEnd()) {
      const uint8_t op = r.Fixed<uint8_t>();
      uint64_t advance = 0;
      if (!Step(&r, op, &advance) || !r.ok()) return false;
      if (op == kSetLoc)
        location = advance;
      else
        location += advance;
      if (location > pc) return true;
    }
    return r.ok();
  }
  void EndOfCie() { initial_ = row_; }
  const Row& row() const { return row_; }

 private:
  static constexpr int kMostRemembered = 8;

  bool Step(Reader* r, uint8_t op, uint64_t* advance);
  bool StepWithoutOperand(Reader* r, uint8_t op, uint64_t* advance);
  uint64_t ReadAdvance(Reader* r, uint8_t op) const;
  bool KeepRow(uint8_t op);
  void DefineCfa(Reader* r, uint8_t op);
  bool DefineRegister(Reader* r, uint8_t op);
  void SetCfa(uint64_t reg, int64_t offset) {
    row_.cfa = reg == kRegSp ? Row::Cfa::kSp : reg == kRegFp ? Row::Cfa::kFp : Row::Cfa::kOther;
    row_.cfa_offset = offset;
  }
  void SetOffset(uint64_t reg, int64_t offset) {
    if (reg == kRegFp) {
      row_.fp = Row::Fp::kAtCfa;
      row_.fp_offset = offset;
    }
    if (reg == kRegReturnAddress) row_.return_at_cfa_minus_8 = offset == -8;
  }
  void SetOther(uint64_t reg) {
    if (reg == kRegFp) row_.fp = Row::Fp::kOther;
    if (reg == kRegReturnAddress) row_.return_at_cfa_minus_8 = false;
  }
  void Restore(uint64_t reg) {
    if (reg == kRegFp) {
      row_.fp = initial_.fp;
      row_.fp_offset = initial_.fp_offset;
    }
    if (reg == kRegReturnAddress) {
      row_.return_at_cfa_minus_8 = initial_.return_at_cfa_minus_8;
      row_.return_undefined = initial_.return_undefined;
    }
  }
  int64_t Factored(int64_t n) const {
    return static_cast<int64_t>(static_cast<uint64_t>(n) * static_cast<uint64_t>(cie_.data_align));
  }
  void CfaExpression(Reader* r);
  void RegisterExpression(Reader* r, uint64_t reg);

  const Cie& cie_;
  Row row_;
  Row initial_;
  Row remembered_[kMostRemembered];
  int remembered_count_ = 0;
};

bool Program::Step(Reader* r, uint8_t op, uint64_t* advance) {
  const uint8_t operand = op & ~kWithOperand;
  switch (op & kWithOperand) {
    case kAdvanceLoc:
      *advance = operand * cie_.code_align;
      return true;
    case kOffset:
      SetOffset(operand, Factored(static_cast<int64_t>(r->Uleb())));
      return true;
    case kRestore:
      Restore(operand);
      return true;
    default:
      return StepWithoutOperand(r, op, advance);
  }
}

bool Program::StepWithoutOperand(Reader* r, uint8_t op, uint64_t* advance) {
  switch (op) {
    case kNop:
      return true;
    case kSetLoc:
    case kAdvanceLoc1:
    case kAdvanceLoc2:
    case kAdvanceLoc4:
      *advance = ReadAdvance(r, op);
      return true;
    case kRememberState:
    case kRestoreState:
      return KeepRow(op);
    case kDefCfa:
    case kDefCfaRegister:
    case kDefCfaOffset:
    case kDefCfaExpression:
    case kDefCfaSf:
    case kDefCfaOffsetSf:
      DefineCfa(r, op);
      return true;
    case kGnuArgsSize:
      r->Uleb();
      return true;
    default:
      return DefineRegister(r, op);
  }
}

uint64_t Program::ReadAdvance(Reader* r, uint8_t op) const {
  if (op == kSetLoc) return r->Pointer(cie_.pointer_encoding);
  if (op == kAdvanceLoc1) return r->Fixed<uint8_t>() * cie_.code_align;
  if (op == kAdvanceLoc2) return r->Fixed<uint16_t>() * cie_.code_align;
  return r->Fixed<uint32_t>() * cie_.code_align;
}

bool Program::KeepRow(uint8_t op) {
  if (op == kRememberState) {
    if (remembered_count_ == kMostRemembered) return false;
    remembered_[remembered_count_++] = row_;
  } else {
    if (remembered_count_ == 0) return false;
    row_ = remembered_[--remembered_count_];
  }
  return true;
}

void Program::DefineCfa(Reader* r, uint8_t op) {
  uint64_t reg;
  switch (op) {
    case kDefCfa:
      reg = r->Uleb();
      return SetCfa(reg, static_cast<int64_t>(r->Uleb()));
    case kDefCfaSf:
      reg = r->Uleb();
      return SetCfa(reg, Factored(r->Sleb()));
    case kDefCfaRegister:
      return SetCfa(r->Uleb(), row_.cfa_offset);
    case kDefCfaOffset:
      row_.cfa_offset = static_cast<int64_t>(r->Uleb());
      return;
    case kDefCfaOffsetSf:
      row_.cfa_offset = Factored(r->Sleb());
      return;
    default:
      return CfaExpression(r);
  }
}

// Where the caller's value of one register is. False if the instruction is unknown.
bool Program::DefineRegister(Reader* r, uint8_t op) {
  const uint64_t reg = r->Uleb();
  switch (op) {
    case kOffsetExtended:
      SetOffset(reg, Factored(static_cast<int64_t>(r->Uleb())));
      return true;
    case kOffsetExtendedSf:
      SetOffset(reg, Factored(r->Sleb()));
      return true;
    case kGnuNegativeOffsetExtended:
      SetOffset(reg, Factored(static_cast<int64_t>(-r->Uleb())));
      return true;
    case kRestoreExtended:
      Restore(reg);
      return true;
    case kSameValue:
      if (reg == kRegFp) row_.fp = Row::Fp::kUnchanged;
      return true;
    case kUndefined:
      if (reg == kRegReturnAddress)
        row_.return_undefined = true;
      else
        SetOther(reg);
      return true;
    case kExpression:
      RegisterExpression(r, reg);
      return true;
    case kRegister:
    case kValOffset:
    case kValOffsetSf:  // a SLEB is as long as a ULEB
      r->Uleb();
      SetOther(reg);
      return true;
    case kValExpression:
      r->Skip(r->Uleb());
      SetOther(reg);
      return true;
    default:
      return false;
  }
}

// The one CFA expression that compiled functions have: GCC, when it realigns the stack, keeps the CFA in a slot:
// DW_OP_breg6 (FP) offset; DW_OP_deref.
void Program::CfaExpression(Reader* r) {
  constexpr uint8_t kOpBregFp = 0x70 + 6;
  constexpr uint8_t kOpDeref = 0x06;
  const uint64_t length = r->Uleb();
  if (length > r->remaining()) return r->Fail();
  Reader e(r->position(), r->position() + length);
  row_.cfa = Row::Cfa::kOther;
  if (e.Fixed<uint8_t>() == kOpBregFp) {
    const int64_t offset = e.Sleb();
    if (e.Fixed<uint8_t>() == kOpDeref && e.ok() && e.AtEnd()) {
      row_.cfa = Row::Cfa::kFpSlot;
      row_.cfa_offset = offset;
    }
  }
  r->Skip(length);
}

// ... and goes with "the caller's FP is at FP + 0".
void Program::RegisterExpression(Reader* r, uint64_t reg) {
  constexpr uint8_t kOpBregFp = 0x70 + 6;
  const uint64_t length = r->Uleb();
  if (length > r->remaining()) return r->Fail();
  Reader e(r->position(), r->position() + length);
  SetOther(reg);
  if (reg == kRegFp && e.Fixed<uint8_t>() == kOpBregFp && e.Sleb() == 0 && e.ok() && e.AtEnd())
    row_.fp = Row::Fp::kAtFp;
  r->Skip(length);
}

constexpr FrameRule kNoRule = {FrameKind::kUnknown, 0, kFpUnchanged};

FrameRule ToRule(const Row& row) {
  constexpr int64_t kMostOffset = 1 << 22;  // no sane frame is larger than 4 MiB
  if (row.return_undefined) return {FrameKind::kEnd, 0, kFpUnchanged};
  if (!row.return_at_cfa_minus_8 || row.cfa_offset > kMostOffset || row.cfa_offset < -kMostOffset) return kNoRule;
  const int32_t cfa_offset = static_cast<int32_t>(row.cfa_offset);
  if (row.cfa == Row::Cfa::kFpSlot) {
    return row.fp == Row::Fp::kAtFp ? FrameRule{FrameKind::kCfaFromSlot, cfa_offset, kFpUnchanged} : kNoRule;
  }
  if (row.cfa != Row::Cfa::kSp && row.cfa != Row::Cfa::kFp) return kNoRule;
  FrameRule rule = {row.cfa == Row::Cfa::kSp ? FrameKind::kCfaFromSp : FrameKind::kCfaFromFp, cfa_offset, kFpUnchanged};
  if (row.fp == Row::Fp::kUnchanged) return rule;
  // A saved FP lies below the return address.
  if (row.fp != Row::Fp::kAtCfa || row.fp_offset >= -8 || row.fp_offset < -kMostOffset) return kNoRule;
  rule.fp_offset = static_cast<int32_t>(row.fp_offset);
  return rule;
}

}  // namespace

FrameRule CompileRule(const CfiTable& table, uintptr_t pc, RangeCheck check) {
  const Source source(table, check);
  const uintptr_t address = FindFde(source, table.hdr, pc);
  if (address == 0) return kNoRule;
  Reader fde = OpenEntry(source, address);
  const uintptr_t cie_field = fde.position();
  const uint32_t cie_distance = fde.Fixed<uint32_t>();
  if (!fde.ok() || cie_distance == 0 || cie_distance > cie_field) return kNoRule;
  Cie cie;
  if (!ReadCie(OpenEntry(source, cie_field - cie_distance), &cie)) return kNoRule;
  const uint64_t start = fde.Pointer(cie.pointer_encoding);
  const uint64_t length = fde.Pointer(cie.pointer_encoding & 0x0f);
  if (cie.has_augmentation) fde.Skip(fde.Uleb());
  if (!fde.ok() || pc < start || pc - start >= length) return kNoRule;
  if (cie.is_signal_frame) return {FrameKind::kSignal, 0, kFpUnchanged};

  Program program(cie);
  if (!program.Run(cie.program, 0, ~uint64_t{0})) return kNoRule;
  program.EndOfCie();
  if (!program.Run(fde, start, pc)) return kNoRule;
  return ToRule(program.row());
}

}  // namespace cgoprof
