// See go_pclntab.h.
#include "addon/go_pclntab.h"

#include <gelf.h>

#include <algorithm>
#include <utility>

#include "addon/byte_reader.h"

namespace cgoprof {
namespace {

constexpr uint32_t kPcDataInlTreeIndex = 2;  // abi.PCDATA_InlTreeIndex
constexpr uint32_t kFuncDataInlTree = 3;     // abi.FUNCDATA_InlTree
constexpr uint32_t kNoFuncData = 0xffffffff;

// Inlining nests some dozens deep at most; a damaged tree may be cyclic.
constexpr int kMaxInlineDepth = 256;

// A look-up in an honest table takes some hundred steps. A made-up one could take millions per address.
constexpr uint64_t kMaxSteps = 500'000'000;

// abi.FuncIDWrapper was 21 when Go 1.18 came and grows as IDs come in before it.
constexpr uint8_t kLowestWrapperId = 21;
constexpr uint8_t kHighestWrapperId = 40;
constexpr uint8_t kNoWrapperId = 0;

// runtime.readvarint: base 128, at most 32 bits.
bool ReadVarint(std::string_view bytes, uint64_t* offset, uint32_t* value) {
  *value = 0;
  for (int shift = 0; shift < 35; shift += 7) {
    uint8_t byte = 0;
    if (!ReadAt(bytes, *offset, &byte)) return false;
    ++*offset;
    *value |= static_cast<uint32_t>(byte & 0x7f) << shift;
    if ((byte & 0x80) == 0) return true;
  }
  return false;
}

uint32_t DecodeZigzag(uint32_t value) { return (value >> 1) ^ (0 - (value & 1)); }

}  // namespace

std::unique_ptr<GoPclntab> GoPclntab::Open(const ElfFile& file, std::string* why) {
  if (!IsGoImage(file)) return nullptr;
  GElf_Shdr section = {};
  if (Elf_Scn* found = file.Section(".gopclntab"); found == nullptr || gelf_getshdr(found, &section) == nullptr) {
    section = {};
  }
  return FromMemory(MemoryImage::Load(file), section.sh_addr, section.sh_size, why);
}

std::unique_ptr<GoPclntab> GoPclntab::FromMemory(MemoryImage image, uint64_t section, uint64_t section_bytes,
                                                 std::string* why) {
  auto kept = std::make_unique<const MemoryImage>(std::move(image));
  const std::optional<GoModule> module = FindGoModule(*kept, section, section_bytes, why);
  if (!module) return nullptr;
  return std::unique_ptr<GoPclntab>(new GoPclntab(std::move(kept), *module));
}

GoPclntab::GoPclntab(std::unique_ptr<const MemoryImage> image, const GoModule& module)
    : image_(std::move(image)), module_(module), wrapper_id_(FindWrapperId()), steps_left_(kMaxSteps) {}

// The value of abi.FuncIDWrapper differs between releases, but it is the highest of them in each, and every program has
// wrappers (the generated == of its types).
uint8_t GoPclntab::FindWrapperId() const {
  uint8_t highest = kNoWrapperId;
  for (uint64_t i = 0; i < module_.function_count; ++i) {
    uint32_t offset = 0;
    Function function;
    if (!ReadAt(module_.functions, i * kFunctionEntrySize + 4, &offset)) break;
    if (ReadFunction(offset, &function)) highest = std::max(highest, function.id);
  }
  return highest >= kLowestWrapperId && highest <= kHighestWrapperId ? highest : kNoWrapperId;
}

GoLocation GoPclntab::Lookup(uint64_t address) {
  GoLocation location;
  const uint64_t text_offset = address - module_.text;
  const std::optional<Function> function = FindFunction(text_offset);
  if (!function) return location;
  if (function->pc_file == 0) {
    location.kind = GoLocation::kForeign;
    SourceLine line;
    line.name = line.system_name = TextAt(module_.names, function->name);
    if (!line.name.empty()) location.lines.push_back(std::move(line));
  } else {
    location.kind = GoLocation::kGo;
    location.lines = Expand(*function, text_offset);
  }
  return location;
}

// The last entry of the table at or below the offset. The sentinel after the last entry is where the text ends.
std::optional<GoPclntab::Function> GoPclntab::FindFunction(uint64_t text_offset) const {
  const auto entry_at = [this](uint64_t index) {
    uint32_t entry = 0xffffffff;
    ReadAt(module_.functions, index * kFunctionEntrySize, &entry);
    return entry;
  };
  if (text_offset < entry_at(0) || text_offset >= entry_at(module_.function_count)) return std::nullopt;
  uint64_t low = 0;
  uint64_t high = module_.function_count;
  while (high - low > 1) {  // entry_at(low) <= text_offset < entry_at(high)
    const uint64_t middle = low + (high - low) / 2;
    (entry_at(middle) <= text_offset ? low : high) = middle;
  }
  uint32_t offset = 0;
  Function function;
  if (!ReadAt(module_.functions, low * kFunctionEntrySize + 4, &offset)) return std::nullopt;
  if (!ReadFunction(offset, &function) || function.entry > text_offset) return std::nullopt;
  return function;
}

bool GoPclntab::ReadFunction(uint64_t offset, Function* function) const {
  struct Fixed {  // the fields up to startLine, or up to funcID before Go 1.20
    uint32_t entry, name, args, deferreturn, pc_sp, pc_file, pc_line, pc_data_count, unit;
  } fixed;
  struct Tail {
    uint8_t id, flags, pad, func_data_count;
  } tail;
  const std::string_view bytes = module_.functions;
  if (!ReadAt(bytes, offset, &fixed)) return false;
  offset += sizeof(fixed);
  if (module_.has_start_line) {
    if (!ReadAt(bytes, offset, &function->start_line)) return false;
    offset += sizeof(function->start_line);
  }
  if (!ReadAt(bytes, offset, &tail)) return false;
  function->entry = fixed.entry;
  function->name = fixed.name;
  function->pc_file = fixed.pc_file;
  function->pc_line = fixed.pc_line;
  function->unit = fixed.unit;
  function->id = tail.id;
  function->pc_data_count = fixed.pc_data_count;
  function->func_data_count = tail.func_data_count;
  function->pc_data = offset + sizeof(tail);
  function->func_data = function->pc_data + uint64_t{4} * fixed.pc_data_count;
  return true;
}

// Where in pc_values the function's table of inlining-tree indices is; 0: nothing is inlined.
uint32_t GoPclntab::InlineTable(const Function& function) const {
  uint32_t table = 0;
  if (function.pc_data_count > kPcDataInlTreeIndex) {
    ReadAt(module_.functions, function.pc_data + 4 * kPcDataInlTreeIndex, &table);
  }
  return table;
}

bool GoPclntab::ReadInlinedCall(const Function& function, int32_t index, InlinedCall* call) const {
  uint32_t tree = kNoFuncData;
  if (function.func_data_count <= kFuncDataInlTree ||
      !ReadAt(module_.functions, function.func_data + 4 * kFuncDataInlTree, &tree) || tree == kNoFuncData) {
    return false;
  }
  struct Go118 {
    int16_t parent;
    uint8_t id, pad;
    uint32_t file, line, name, parent_pc;
  } old;
  struct Go120 {
    uint8_t id, pad[3];
    uint32_t name, parent_pc, start_line;
  } now;
  static_assert(sizeof(old) == 20 && sizeof(now) == 16);
  const uint64_t at = tree + static_cast<uint64_t>(index) * (module_.has_start_line ? sizeof(now) : sizeof(old));
  if (module_.has_start_line) {
    if (!ReadAt(module_.func_data, at, &now)) return false;
    *call = {now.id, now.name, now.parent_pc, now.start_line};
  } else {
    if (!ReadAt(module_.func_data, at, &old)) return false;
    *call = {old.id, old.name, old.parent_pc, 0};
  }
  return true;
}

// runtime.pcvalue, not strict: the value of a pc-value table at an address, -1 for none. The table is pairs of varints
// (change of value, zigzag; change of pc), ended by a 0.
int32_t GoPclntab::PcValue(const Function& function, uint32_t table, uint64_t text_offset) {
  if (table == 0) return -1;
  uint64_t at = table;
  uint64_t pc = function.entry;
  uint32_t value = 0xffffffff;
  uint32_t value_change = 0;
  uint32_t pc_change = 0;
  for (; steps_left_ > 0; --steps_left_) {
    if (!ReadVarint(module_.pc_values, &at, &value_change)) break;
    if (value_change == 0 && pc != function.entry) break;
    if (!ReadVarint(module_.pc_values, &at, &pc_change)) break;
    value += DecodeZigzag(value_change);
    pc += uint64_t{pc_change} * module_.quantum;
    if (text_offset < pc) return static_cast<int32_t>(value);
  }
  return -1;
}

// runtime.funcline1, with '' and 0 instead of "?" where the table says nothing.
void GoPclntab::SetFileAndLine(const Function& function, uint64_t text_offset, SourceLine* line) {
  const int32_t file = PcValue(function, function.pc_file, text_offset);
  const int32_t number = PcValue(function, function.pc_line, text_offset);
  uint32_t name = 0;
  // 32 bits, as the runtime adds them.
  const uint32_t entry = function.unit + static_cast<uint32_t>(file);
  if (file < 0 || number < 0 || !ReadAt(module_.unit_files, uint64_t{4} * entry, &name)) return;
  line->file = TextAt(module_.files, name);
  line->line = static_cast<uint32_t>(number);
}

// runtime.inlineUnwinder over all frames of the physical one. Leaves wrappers out as runtime.tracebackPCs does; that it
// keeps those that a panic runs through is not repeated here, for this location alone does not tell.
std::vector<SourceLine> GoPclntab::Expand(const Function& function, uint64_t text_offset) {
  std::vector<SourceLine> lines;
  const uint32_t inline_table = InlineTable(function);
  for (int depth = 0; depth < kMaxInlineDepth; ++depth) {
    InlinedCall call = {function.id, function.name, 0, function.start_line};
    const int32_t index = PcValue(function, inline_table, text_offset);
    const bool inlined = index >= 0 && ReadInlinedCall(function, index, &call);
    if (wrapper_id_ == kNoWrapperId || call.id != wrapper_id_) {
      SourceLine line;
      line.name = line.system_name = TextAt(module_.names, call.name);
      line.start_line = call.start_line;
      SetFileAndLine(function, text_offset, &line);
      lines.push_back(std::move(line));
    }
    if (!inlined) break;
    text_offset = uint64_t{function.entry} + call.parent_pc;
  }
  return lines;
}

}  // namespace cgoprof
