// Go images made byte by byte for tests, in the formats of Go 1.18 to 1.27: a symbol table and the moduledata beside
// it.
#ifndef CGOPROF_TEST_ADDON_GO_TABLE_BUILDER_H_
#define CGOPROF_TEST_ADDON_GO_TABLE_BUILDER_H_

#include <stdint.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "addon/memory_image.h"

namespace cgoprof {

enum class GoFormat { kGo118, kGo120, kGo126 };

// A pc-value table: (offset from the function's entry where the value ends, value), ascending.
using PcValues = std::vector<std::pair<uint32_t, int32_t>>;

struct TestInlinedCall {
  std::string name;
  uint32_t parent_pc;
  uint32_t start_line = 0;
  uint8_t id = 0;
};

struct TestFunction {
  std::string name;
  uint32_t entry;  // from the start of the text
  PcValues files;
  PcValues lines;
  PcValues inlined = {};
  std::vector<TestInlinedCall> tree = {};
  uint32_t start_line = 0;
  uint8_t id = 0;
};

class GoTableBuilder {
 public:
  static constexpr uint64_t kText = 0x401000;
  static constexpr uint64_t kTable = 0x500000;
  static constexpr uint64_t kModuleData = 0x600000;
  static constexpr uint64_t kFuncData = 0x700000;  // up to Go 1.25; it lies within the table from 1.26 on

  explicit GoTableBuilder(GoFormat format) : format_(format) {}

  // Number of the file, for TestFunction::files.
  int32_t AddFile(std::string_view name) {
    Put32(&units_, AddText(&files_, name));
    return static_cast<int32_t>(units_.size() / 4 - 1);
  }

  void AddFunction(const TestFunction& function) {
    Put32(&entries_, function.entry);
    record_offsets_.push_back(static_cast<uint32_t>(records_.size()));
    Put32(&records_, function.entry);
    Put32(&records_, AddText(&names_, function.name));
    for (int i = 0; i < 3; ++i) Put32(&records_, 0);  // args, deferreturn, pcsp
    Put32(&records_, AddPcValues(function.files));
    Put32(&records_, AddPcValues(function.lines));
    Put32(&records_, 3);  // npcdata
    Put32(&records_, 0);  // cuOffset
    if (format_ != GoFormat::kGo118) Put32(&records_, function.start_line);
    records_ += {static_cast<char>(function.id), 0, 0, 4};  // funcID, flag, pad, nfuncdata
    Put32(&records_, 0);
    Put32(&records_, 0);
    Put32(&records_, AddPcValues(function.inlined));
    for (int i = 0; i < 3; ++i) Put32(&records_, 0xffffffff);
    Put32(&records_, function.tree.empty() ? 0xffffffff : AddTree(function.tree));
  }

  // The symbol table, .gopclntab. `end`: where the text ends.
  std::string Table(uint32_t end) const {
    const std::string functions = FunctionTable(end);
    std::string table;
    Put32(&table, format_ == GoFormat::kGo118 ? 0xfffffff0 : 0xfffffff1);
    table += {0, 0, 1, 8};
    Put64(&table, record_offsets_.size());
    Put64(&table, units_.size() / 4);
    Put64(&table, format_ == GoFormat::kGo126 ? 0 : kText);
    uint64_t offset = kHeaderSize;
    for (const std::string* part : {&names_, &units_, &files_, &pc_values_, &functions}) {
      Put64(&table, offset);
      offset += part->size();
    }
    table += names_ + units_ + files_ + pc_values_ + functions;
    return format_ == GoFormat::kGo126 ? table + func_data_ : table;
  }

  // The moduledata of such a table.
  std::string ModuleData(const std::string& table) const {
    std::string data(8 * 64, '\0');
    const auto set = [&data](size_t word, uint64_t value) {
      std::string bytes;
      Put64(&bytes, value);
      data.replace(8 * word, 8, bytes);
    };
    const uint64_t functions = kTable + kHeaderSize + names_.size() + units_.size() + files_.size() + pc_values_.size();
    set(0, kTable);
    set(1, kTable + kHeaderSize);
    set(13, functions);
    set(22, kText);
    if (format_ == GoFormat::kGo126) {
      set(43, kTable + table.size() - func_data_.size());  // as in Go 1.27
      set(44, kTable + table.size());
    } else {
      set(format_ == GoFormat::kGo118 ? 38 : 40, kFuncData);
    }
    return data;
  }

  MemoryImage Image(uint32_t end) const {
    MemoryImage image;
    const std::string table = Table(end);
    image.AddSegment(kTable, table);
    image.AddSegment(kModuleData, ModuleData(table));
    if (format_ != GoFormat::kGo126) image.AddSegment(kFuncData, func_data_);
    return image;
  }

 private:
  static constexpr uint64_t kHeaderSize = 72;

  template <typename Number>
  static void Put(std::string* bytes, Number value) {
    bytes->append(reinterpret_cast<const char*>(&value), sizeof(value));
  }
  static void Put32(std::string* bytes, uint64_t value) { Put(bytes, static_cast<uint32_t>(value)); }
  static void Put64(std::string* bytes, uint64_t value) { Put(bytes, value); }

  static void PutVarint(std::string* bytes, uint32_t value) {
    for (; value >= 0x80; value >>= 7) bytes->push_back(static_cast<char>(value | 0x80));
    bytes->push_back(static_cast<char>(value));
  }

  static uint64_t AddText(std::string* table, std::string_view text) {
    const uint64_t offset = table->size();
    table->append(text).push_back('\0');
    return offset;
  }

  uint64_t AddPcValues(const PcValues& values) {
    if (values.empty()) return 0;
    const uint64_t offset = pc_values_.size();
    uint32_t pc = 0;
    int32_t value = -1;
    for (const auto& [end, next] : values) {
      const int32_t change = next - value;
      PutVarint(&pc_values_, static_cast<uint32_t>(change) << 1 ^ static_cast<uint32_t>(change >> 31));
      PutVarint(&pc_values_, end - pc);
      pc = end;
      value = next;
    }
    pc_values_.push_back('\0');
    return offset;
  }

  uint64_t AddTree(const std::vector<TestInlinedCall>& calls) {
    const uint64_t offset = func_data_.size();
    for (const TestInlinedCall& call : calls) {
      const uint64_t name = AddText(&names_, call.name);
      if (format_ == GoFormat::kGo118) {
        func_data_ += {0, 0, static_cast<char>(call.id), 0};  // parent, funcID, pad
        Put64(&func_data_, 0);                                // file, line
        Put32(&func_data_, name);
        Put32(&func_data_, call.parent_pc);
      } else {
        func_data_ += {static_cast<char>(call.id), 0, 0, 0};
        Put32(&func_data_, name);
        Put32(&func_data_, call.parent_pc);
        Put32(&func_data_, call.start_line);
      }
    }
    return offset;
  }

  // runtime.functab, its sentinel, then the _func records.
  std::string FunctionTable(uint32_t end) const {
    std::string table;
    const uint64_t records = 8 * record_offsets_.size() + 4;
    for (size_t i = 0; i < record_offsets_.size(); ++i) {
      table += entries_.substr(4 * i, 4);
      Put32(&table, records + record_offsets_[i]);
    }
    Put32(&table, end);
    return table + records_;
  }

  const GoFormat format_;
  std::string names_;
  std::string units_;
  std::string files_;
  std::string pc_values_ = std::string(1, '\0');  // offset 0 stands for "no table"
  std::string entries_;
  std::string records_;
  std::string func_data_;
  std::vector<uint32_t> record_offsets_;
};

// A program of three functions: main.work, with main.middle and main.inner inlined one into the other; a wrapper around
// main.inner; and C code without tables of its own. Text: work [0, 0x100), wrapper [0x100, 0x180), C [0x180, 0x200).
inline constexpr uint32_t kSampleTextBytes = 0x200;
inline GoTableBuilder SampleGoProgram(GoFormat format) {
  constexpr uint8_t kWrapperId = 23;
  GoTableBuilder builder(format);
  const int32_t work = builder.AddFile("/src/work.go");
  const int32_t inner = builder.AddFile("/src/inner.go");
  builder.AddFunction({"main.work",
                       0,
                       {{0x40, work}, {0x60, inner}, {0x100, work}},
                       {{0x20, 11}, {0x40, 23}, {0x60, 37}, {0x100, 13}},
                       {{0x20, -1}, {0x40, 0}, {0x60, 1}, {0x100, -1}},
                       {{"main.middle", 0x10, 19}, {"main.inner", 0x30, 31}},
                       7});
  builder.AddFunction({"main.work.gowrap1",
                       0x100,
                       {{0x80, inner}},
                       {{0x80, 41}},
                       {{0x40, 0}, {0x80, -1}},
                       {{"main.inner", 0x50, 31}},
                       41,
                       kWrapperId});
  builder.AddFunction({"c_function", 0x180, {}, {}});
  return builder;
}

}  // namespace cgoprof

#endif  // CGOPROF_TEST_ADDON_GO_TABLE_BUILDER_H_
