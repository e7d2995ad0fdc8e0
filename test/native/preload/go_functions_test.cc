// Finding runtime functions in a literal .gopclntab, and in damaged ones. Real ones of every Go version are read by the
// end-to-end tests.
#include "preload/go_functions.h"

#include <gtest/gtest.h>
#include <string.h>

#include <random>
#include <string>
#include <vector>

namespace cgoprof {
namespace {

struct Function {
  std::string name;
  uint32_t entry;
  std::vector<uint8_t> pcsp;  // pairs of (zig-zag value delta, PC delta), then 0
};

constexpr uint32_t kTextBytes = 0x1000;

template <typename T>
void Put(std::vector<uint8_t>* out, size_t at, T value) {
  memcpy(&(*out)[at], &value, sizeof(value));
}

// Lays the table out as the Go linker does: header, names, pc tables, function rows and records.
std::vector<uint8_t> MakeTable(const std::vector<Function>& functions, uint64_t text_start,
                               uint32_t magic = 0xfffffff1) {
  constexpr size_t kHeader = 72, kRecord = 44;
  std::vector<uint8_t> names, pctab, rows;
  rows.resize(functions.size() * 8 + 4);
  const size_t records = rows.size();
  rows.resize(records + functions.size() * kRecord);
  for (size_t i = 0; i < functions.size(); i++) {
    const size_t record = records + i * kRecord;
    Put<uint32_t>(&rows, i * 8, functions[i].entry);
    Put<uint32_t>(&rows, i * 8 + 4, static_cast<uint32_t>(record));
    Put<uint32_t>(&rows, record, functions[i].entry);
    Put<uint32_t>(&rows, record + 4, static_cast<uint32_t>(names.size()));
    Put<uint32_t>(&rows, record + 16, static_cast<uint32_t>(pctab.size()));
    names.insert(names.end(), functions[i].name.begin(), functions[i].name.end());
    names.push_back(0);
    pctab.insert(pctab.end(), functions[i].pcsp.begin(), functions[i].pcsp.end());
    pctab.push_back(0);
  }
  Put<uint32_t>(&rows, functions.size() * 8, kTextBytes);
  std::vector<uint8_t> table(kHeader);
  Put<uint32_t>(&table, 0, magic);
  table[6] = 1;
  table[7] = 8;
  Put<uint64_t>(&table, 8, functions.size());
  Put<uint64_t>(&table, 24, text_start);
  Put<uint64_t>(&table, 32, kHeader);
  Put<uint64_t>(&table, 56, kHeader + names.size());
  Put<uint64_t>(&table, 64, kHeader + names.size() + pctab.size());
  for (const std::vector<uint8_t>* part : {&names, &pctab, &rows})
    table.insert(table.end(), part->begin(), part->end());
  table.shrink_to_fit();
  return table;
}

std::vector<Function> RuntimeFunctions() {
  return {
      {"internal/cpu.Initialize", 0x0, {}},
      {"runtime.asmcgocall", 0x100, {}},
      {"runtime.asmcgocall", 0x180, {}},
      // SP delta -1 + 1 = 0 for 4 bytes, then 0x58, then back to 0.
      {"runtime.cgocall", 0x200, {2, 4, 0xb0, 1, 0x80, 1, 0xaf, 1, 4}},
      {"runtime.cgocallback", 0x300, {}},
      {"runtime.cgocallbackg", 0x400, {}},
      {"runtime.rt0_go", 0x480, {}},
      {"main.main", 0x500, {}},
  };
}

bool Read(const std::vector<uint8_t>& table, uintptr_t module_data, GoFunctions* out) {
  const uintptr_t start = reinterpret_cast<uintptr_t>(table.data());
  return ReadGoFunctions(start, start + table.size(), module_data, out);
}

TEST(ReadGoFunctions, FindsTheBoundaryFunctions) {
  GoFunctions found;
  ASSERT_TRUE(Read(MakeTable(RuntimeFunctions(), 0x400000), 0, &found));
  EXPECT_EQ(found.text.start, 0x400000u);
  EXPECT_EQ(found.text.end, 0x400000u + kTextBytes);
  ASSERT_EQ(found.asmcgocall.count, 2u);
  EXPECT_TRUE(found.asmcgocall.Contains(0x400100));
  EXPECT_TRUE(found.asmcgocall.Contains(0x4001ff));
  EXPECT_FALSE(found.asmcgocall.Contains(0x400200));
  EXPECT_TRUE(found.cgocallback.Contains(0x400300));
  EXPECT_FALSE(found.cgocallback.Contains(0x400400)) << "cgocallbackg is another function";
  EXPECT_TRUE(found.rt0_go.Contains(0x400480));
  EXPECT_EQ(found.asmcgocall_landingpad.count, 0u);
  EXPECT_EQ(found.cgocall_frame_bytes, 0x58u);
}

TEST(ReadGoFunctions, TakesTheTextFromModuledataWhereTheHeaderHasNone) {
  const std::vector<uint8_t> table = MakeTable(RuntimeFunctions(), 0);
  std::vector<uint8_t> module_data(256);
  Put<uint64_t>(&module_data, 176, 0x7f0000001000);
  GoFunctions found;
  ASSERT_TRUE(Read(table, reinterpret_cast<uintptr_t>(module_data.data()), &found));
  EXPECT_TRUE(found.cgocall.Contains(0x7f0000001200));
  EXPECT_FALSE(Read(table, 0, &found)) << "without it no address is known";
}

TEST(ReadGoFunctions, RefusesOtherTables) {
  GoFunctions found;
  EXPECT_FALSE(Read(MakeTable(RuntimeFunctions(), 0x400000, 0xfffffffb), 0, &found)) << "Go 1.2";
  EXPECT_FALSE(Read(MakeTable({{"main.main", 0, {}}}, 0x400000), 0, &found)) << "no cgo in it";
  std::vector<uint8_t> table = MakeTable(RuntimeFunctions(), 0x400000);
  table[7] = 4;
  EXPECT_FALSE(Read(table, 0, &found)) << "32 bits";
}

TEST(ReadGoFunctions, SurvivesTruncation) {
  const std::vector<uint8_t> table = MakeTable(RuntimeFunctions(), 0x400000);
  for (size_t length = 0; length < table.size(); length++) {
    std::vector<uint8_t> cut(table.begin(), table.begin() + static_cast<long>(length));
    cut.shrink_to_fit();
    GoFunctions found;
    Read(cut, 0, &found);
  }
}

TEST(ReadGoFunctions, SurvivesDamage) {
  std::mt19937 random(20260101);
  for (int round = 0; round < 20000; round++) {
    std::vector<uint8_t> table = MakeTable(RuntimeFunctions(), 0x400000);
    for (int hits = 0; hits < 3; hits++) table[random() % table.size()] = static_cast<uint8_t>(random());
    GoFunctions found;
    Read(table, 0, &found);
  }
}

TEST(FindGoFunctions, FindsNoneInAProgramWithoutGo) {
  GoFunctions found;
  EXPECT_FALSE(FindGoFunctions(0, 0, ~uintptr_t{0}, &found));
}

}  // namespace
}  // namespace cgoprof
