// The CFI compiler: literal tables, every instruction that can become a rule, and damage of every byte.
#include "preload/cfi.h"

#include <gtest/gtest.h>
#include <string.h>

#include <random>
#include <vector>

namespace cgoprof {
namespace {

using Bytes = std::vector<uint8_t>;

// Lays out .eh_frame_hdr and .eh_frame with one CIE and one FDE that covers kFunctionBytes from kFunction on.
class Tables {
 public:
  static constexpr uint64_t kFunctionBytes = 0x100;

  Tables(const Bytes& fde_program, const char* augmentation = "zR") {
    const Bytes cie_program = {0x0c, 7, 8, 0x90, 1};  // def_cfa rsp+8; return address at cfa-8
    memory_.assign(24, 0);                            // the header, filled at the end
    const size_t cie = memory_.size();
    Add32(0);  // length
    Add32(0);  // CIE id
    Add8(1);   // version
    for (const char* p = augmentation; *p != '\0'; p++) Add8(static_cast<uint8_t>(*p));
    Add8(0);
    Add8(1);     // code alignment
    Add8(0x78);  // data alignment -8
    Add8(16);    // return address register
    Add8(1);     // augmentation bytes
    Add8(0x00);  // absolute pointers
    Append(cie_program);
    Close(cie);
    const size_t fde = memory_.size();
    Add32(0);
    Add32(static_cast<uint32_t>(fde + 4 - cie));  // distance back to the CIE
    Add64(function());
    Add64(kFunctionBytes);
    Add8(0);  // no augmentation data
    Append(fde_program);
    Close(fde);
    WriteHeader(fde);
  }

  CfiTable table() const { return {base(), base(), base() + memory_.size()}; }
  uintptr_t base() const { return reinterpret_cast<uintptr_t>(memory_.data()); }
  static uintptr_t function() { return 0x400000; }
  Bytes& memory() { return memory_; }

 private:
  void Add8(uint8_t value) { memory_.push_back(value); }
  void Add32(uint32_t value) { AddRaw(&value, 4); }
  void Add64(uint64_t value) { AddRaw(&value, 8); }
  void AddRaw(const void* value, size_t size) {
    const uint8_t* bytes = static_cast<const uint8_t*>(value);
    memory_.insert(memory_.end(), bytes, bytes + size);
  }
  void Append(const Bytes& bytes) { memory_.insert(memory_.end(), bytes.begin(), bytes.end()); }
  void Close(size_t start) {
    const uint32_t length = static_cast<uint32_t>(memory_.size() - start - 4);
    memcpy(&memory_[start], &length, 4);
  }
  void WriteHeader(size_t fde) {
    memory_.shrink_to_fit();
    memory_[0] = 1;
    memory_[1] = 0x03;  // pointer to .eh_frame: udata4, not looked at
    memory_[2] = 0x03;  // count: udata4
    memory_[3] = 0x3b;  // rows: data-relative sdata4
    const uint32_t count = 1;
    memcpy(&memory_[8], &count, 4);
    // Only that it is below the function matters here: the FDE itself says where it starts.
    const int32_t start = INT32_MIN;
    const int32_t offset = static_cast<int32_t>(fde);
    memcpy(&memory_[12], &start, 4);
    memcpy(&memory_[16], &offset, 4);
  }
  Bytes memory_;
};

// The function is put near the tables, in reach of the 32-bit rows.
class CfiTest : public testing::Test {
 protected:
  static FrameRule Compile(const Bytes& program, uint64_t offset = 0x80) {
    Tables tables(program);
    return CompileAt(&tables, offset);
  }
  static FrameRule CompileAt(Tables* tables, uint64_t offset) {
    const uintptr_t function = tables->base() + 0x10000;
    Patch(tables, function);
    return CompileRule(tables->table(), function + offset, nullptr);
  }
  static void Patch(Tables* tables, uintptr_t function) {
    Bytes& memory = tables->memory();
    for (size_t i = 24; i + 8 <= memory.size(); i++) {
      uint64_t word;
      memcpy(&word, &memory[i], 8);
      if (word == Tables::function()) {
        memcpy(&memory[i], &function, 8);
        return;
      }
    }
    FAIL() << "no FDE start";
  }
};

void ExpectRule(const FrameRule& rule, FrameKind kind, int32_t cfa_offset, int32_t fp_offset) {
  EXPECT_EQ(rule.kind, kind);
  EXPECT_EQ(rule.cfa_offset, cfa_offset);
  EXPECT_EQ(rule.fp_offset, fp_offset);
}

TEST_F(CfiTest, StartsWithTheRowOfTheCie) { ExpectRule(Compile({}), FrameKind::kCfaFromSp, 8, kFpUnchanged); }

TEST_F(CfiTest, FollowsPushes) {
  // advance 1; cfa_offset 16; rbp at cfa-16; advance 0x40; cfa_offset 64
  const Bytes program = {0x41, 0x0e, 16, 0x86, 2, 0x02, 0x40, 0x0e, 64};
  ExpectRule(Compile(program, 0), FrameKind::kCfaFromSp, 8, kFpUnchanged);
  ExpectRule(Compile(program, 1), FrameKind::kCfaFromSp, 16, -16);
  ExpectRule(Compile(program, 0x40), FrameKind::kCfaFromSp, 16, -16);
  ExpectRule(Compile(program, 0x41), FrameKind::kCfaFromSp, 64, -16);
}

TEST_F(CfiTest, FollowsFramePointers) {
  // push rbp; mov rbp, rsp: cfa = rbp+16
  ExpectRule(Compile({0x41, 0x0e, 16, 0x86, 2, 0x43, 0x0d, 6}), FrameKind::kCfaFromFp, 16, -16);
}

TEST_F(CfiTest, RemembersAndRestores) {
  const Bytes program = {0x0e, 32, 0x86, 2, 0x0a, 0x41, 0x0e, 8, 0xc6, 0x41, 0x0b};
  ExpectRule(Compile(program, 0), FrameKind::kCfaFromSp, 32, -16);
  ExpectRule(Compile(program, 1), FrameKind::kCfaFromSp, 8, kFpUnchanged);
  ExpectRule(Compile(program, 2), FrameKind::kCfaFromSp, 32, -16);
}

TEST_F(CfiTest, KnowsTheRealignedStack) {
  // cfa = [rbp - 8]; rbp at [rbp + 0]: GCC's DRAP.
  const Bytes program = {0x0f, 3, 0x76, 0x78, 0x06, 0x10, 6, 2, 0x76, 0x00};
  ExpectRule(Compile(program), FrameKind::kCfaFromSlot, -8, kFpUnchanged);
}

TEST_F(CfiTest, KnowsTheOutermostFrame) { ExpectRule(Compile({0x07, 16}), FrameKind::kEnd, 0, kFpUnchanged); }

TEST_F(CfiTest, GivesUpOnWhatIsNoRule) {
  const FrameKind kUnknown = FrameKind::kUnknown;
  EXPECT_EQ(Compile({0x0d, 3}).kind, kUnknown) << "cfa from rbx";
  EXPECT_EQ(Compile({0x0f, 2, 0x77, 8}).kind, kUnknown) << "another expression";
  EXPECT_EQ(Compile({0x90, 2}).kind, kUnknown) << "return address elsewhere";
  EXPECT_EQ(Compile({0x09, 6, 3}).kind, kUnknown) << "rbp kept in rbx";
  EXPECT_EQ(Compile({0x0b}).kind, kUnknown) << "restore without remember";
  EXPECT_EQ(Compile({0x3f}).kind, kUnknown) << "no such instruction";
  EXPECT_EQ(Compile({0x0e}).kind, kUnknown) << "cut off";
  EXPECT_EQ(Compile({0x0e, 0x80, 0x80, 0x80, 0x08}).kind, kUnknown) << "a frame of 16 MiB";
  EXPECT_EQ(Compile(Bytes(20, 0x0a)).kind, kUnknown) << "remembers too much";
}

TEST_F(CfiTest, CoversExactlyTheFunction) {
  Tables tables({});
  EXPECT_EQ(CompileAt(&tables, Tables::kFunctionBytes - 1).kind, FrameKind::kCfaFromSp);
  Tables again({});
  EXPECT_EQ(CompileAt(&again, Tables::kFunctionBytes).kind, FrameKind::kUnknown);
}

TEST_F(CfiTest, KnowsSignalFrames) {
  Tables tables({}, "zRS");
  EXPECT_EQ(CompileAt(&tables, 1).kind, FrameKind::kSignal);
}

TEST_F(CfiTest, AsksBeforeItReadsWhereAskedTo) {
  Tables tables({});
  const uintptr_t function = tables.base() + 0x10000;
  Patch(&tables, function);
  EXPECT_EQ(CompileRule(tables.table(), function, [](uintptr_t, uintptr_t) { return false; }).kind,
            FrameKind::kUnknown);
  EXPECT_EQ(CompileRule(tables.table(), function, [](uintptr_t, uintptr_t) { return true; }).kind,
            FrameKind::kCfaFromSp);
}

// Any byte of the tables may be anything: the answer may be wrong, but no read leaves the table (AddressSanitizer
// watches the vector) and every run ends.
TEST_F(CfiTest, SurvivesDamage) {
  const Bytes program = {0x41, 0x0e, 16, 0x86, 2, 0x43, 0x0d, 6, 0x02, 0x40, 0x0a, 0x0e, 8, 0x0b};
  std::mt19937 random(20260101);
  for (int round = 0; round < 20000; round++) {
    Tables tables(program);
    const uintptr_t function = tables.base() + 0x10000;
    Patch(&tables, function);
    for (int hits = 0; hits < 3; hits++) {
      tables.memory()[random() % tables.memory().size()] = static_cast<uint8_t>(random());
    }
    CompileRule(tables.table(), function + random() % 0x110, nullptr);
  }
}

TEST_F(CfiTest, SurvivesTruncation) {
  Tables tables({0x41, 0x0e, 16, 0x86, 2});
  const uintptr_t function = tables.base() + 0x10000;
  Patch(&tables, function);
  for (size_t length = 0; length < tables.memory().size(); length++) {
    Bytes cut(tables.memory().begin(), tables.memory().begin() + static_cast<long>(length));
    cut.shrink_to_fit();
    const uintptr_t base = reinterpret_cast<uintptr_t>(cut.data());
    CompileRule({base, base, base + length}, base + 0x10000, nullptr);
  }
}

}  // namespace
}  // namespace cgoprof
