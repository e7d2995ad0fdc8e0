// See go_functions.h.
#include "preload/go_functions.h"

#include <string.h>

#include "preload/elf_sections.h"
#include "preload/readable.h"

namespace cgoprof {
namespace {

constexpr uint32_t kMagic118 = 0xfffffff0;  // Go 1.18 and 1.19
constexpr uint32_t kMagic120 = 0xfffffff1;  // Go 1.20 and later
constexpr uint64_t kModuleDataText = 176;   // offset of moduledata.text, the same in Go 1.18 to 1.27

struct PcHeader {
  uint32_t magic;
  uint8_t pad1, pad2;
  uint8_t min_instruction_bytes;
  uint8_t pointer_bytes;
  uint64_t function_count;
  uint64_t file_count;
  uint64_t text_start;
  uint64_t names_offset;
  uint64_t units_offset;
  uint64_t files_offset;
  uint64_t pctab_offset;
  uint64_t functions_offset;
};
static_assert(sizeof(PcHeader) == 72);

struct FunctionRow {
  uint32_t entry;   // offset from the text base
  uint32_t record;  // offset of the _func from functions_offset
};

// The table's bytes; copies out of it or says that they are not there.
struct Table {
  uintptr_t start;
  uintptr_t end;
  PcHeader header;
  uintptr_t text;

  template <typename T>
  bool Read(uint64_t offset, T* out) const {
    if (offset > end - start || end - start - offset < sizeof(T)) return false;
    memcpy(out, reinterpret_cast<const void*>(start + offset), sizeof(T));
    return true;
  }
  bool Row(uint64_t index, FunctionRow* row) const {
    return Read(header.functions_offset + index * sizeof(FunctionRow), row);
  }
  bool NameEquals(uint32_t record, const char* name, size_t name_bytes) const {
    uint32_t name_offset;
    if (!Read(header.functions_offset + record + 4, &name_offset)) return false;
    const uint64_t at = header.names_offset + name_offset;
    if (at > end - start || end - start - at < name_bytes) return false;
    return memcmp(reinterpret_cast<const void*>(start + at), name, name_bytes) == 0;
  }
};

bool ReadHeader(Table* table) {
  const PcHeader& h = table->header;
  if (!table->Read(0, &table->header)) return false;
  const uint64_t size = table->end - table->start;
  return (h.magic == kMagic118 || h.magic == kMagic120) && h.pad1 == 0 && h.pad2 == 0 && h.pointer_bytes == 8 &&
         h.function_count > 0 && h.function_count < size / sizeof(FunctionRow) && h.functions_offset < size &&
         h.names_offset < size && h.pctab_offset < size;
}

// One unsigned varint of a pc-value table.
bool ReadVarint(const Table& table, uint64_t* offset, uint32_t* value) {
  *value = 0;
  for (int shift = 0; shift < 35; shift += 7) {
    uint8_t byte;
    if (!table.Read((*offset)++, &byte)) return false;
    *value |= static_cast<uint32_t>(byte & 0x7f) << shift;
    if ((byte & 0x80) == 0) return true;
  }
  return false;
}

// The largest value of a function's SP-delta table, which is the value at its calls: the frame is set up whole in the
// prologue. Encoding: pairs of (zig-zag value delta, PC delta), see runtime.step.
uint32_t LargestSpDelta(const Table& table, uint32_t record) {
  constexpr int kMostSteps = 1000;
  uint32_t pcsp;
  if (!table.Read(table.header.functions_offset + record + 16, &pcsp)) return 0;
  uint64_t offset = table.header.pctab_offset + pcsp;
  int32_t value = -1, largest = 0;
  for (int step = 0; step < kMostSteps; step++) {
    uint32_t delta, pc_delta;
    if (!ReadVarint(table, &offset, &delta) || (delta == 0 && step > 0)) break;
    value += static_cast<int32_t>((delta >> 1) ^ (0u - (delta & 1)));
    if (!ReadVarint(table, &offset, &pc_delta)) break;
    if (value > largest) largest = value;
  }
  return static_cast<uint32_t>(largest);
}

void AddRange(NamedFunction* function, AddressRange range) {
  if (function->count < NamedFunction::kMost) function->ranges[function->count++] = range;
}

struct Wanted {
  const char* name;
  NamedFunction* function;
};

bool ScanFunctions(const Table& table, GoFunctions* out) {
  const Wanted wanted[] = {
      {"runtime.asmcgocall", &out->asmcgocall}, {"runtime.asmcgocall_landingpad", &out->asmcgocall_landingpad},
      {"runtime.cgocall", &out->cgocall},       {"runtime.cgocallback", &out->cgocallback},
      {"runtime.rt0_go", &out->rt0_go},
  };
  FunctionRow row, next;
  if (!table.Row(0, &row)) return false;
  out->text.start = table.text + row.entry;
  for (uint64_t i = 0; i < table.header.function_count; i++, row = next) {
    // Behind the last row stands the end of the text.
    if (!table.Row(i + 1, &next)) return false;
    if (next.entry < row.entry) return false;
    if (!table.NameEquals(row.record, "runtime.", 8)) continue;
    for (const Wanted& w : wanted) {
      if (!table.NameEquals(row.record, w.name, strlen(w.name) + 1)) continue;
      AddRange(w.function, {table.text + row.entry, table.text + next.entry});
      if (w.function == &out->cgocall) out->cgocall_frame_bytes = LargestSpDelta(table, row.record);
    }
  }
  out->text.end = table.text + row.entry;
  return out->asmcgocall.count > 0 && out->cgocall.count > 0;
}

// Go 1.19 to 1.25 linked as PIE by the system's linker has no section of its own for the table: it lies somewhere in
// .data.rel.ro, aligned to 32 bytes.
uintptr_t SearchForTable(uintptr_t start, uintptr_t end) {
  constexpr uintptr_t kAlignment = 32;
  start = (start + kAlignment - 1) & ~(kAlignment - 1);
  for (uintptr_t at = start; at + sizeof(PcHeader) <= end; at += kAlignment) {
    uint32_t magic;
    memcpy(&magic, reinterpret_cast<const void*>(at), sizeof(magic));
    if (magic != kMagic118 && magic != kMagic120) continue;
    Table table = {at, end, {}, 0};
    if (ReadHeader(&table)) return at;
  }
  return 0;
}

}  // namespace

bool ReadGoFunctions(uintptr_t start, uintptr_t end, uintptr_t module_data, GoFunctions* functions) {
  Table table = {start, end, {}, 0};
  *functions = {};
  if (!ReadHeader(&table)) return false;
  table.text = table.header.text_start;
  if (table.text == 0 && module_data != 0) {
    memcpy(&table.text, reinterpret_cast<const void*>(module_data + kModuleDataText), sizeof(table.text));
  }
  return table.text != 0 && ScanFunctions(table, functions);
}

bool FindGoFunctions(uintptr_t bias, uintptr_t image_start, uintptr_t image_end, GoFunctions* functions) {
  SectionQuery sections[] = {{".gopclntab", 0, 0}, {".data.rel.ro", 0, 0}, {".go.module", 0, 0}};
  FindSections(sections, 3);
  for (SectionQuery& section : sections) {
    const uintptr_t start = section.address + bias;
    if (section.bytes == 0) continue;
    // The file's word is not enough: what it names must be this image's memory, and readable.
    if (start < image_start || start > image_end || image_end - start < section.bytes || !IsReadable(start & ~7ul) ||
        !IsReadable((start + section.bytes - 1) & ~7ul)) {
      section.bytes = 0;
    }
  }
  uintptr_t start = sections[0].address + bias;
  uintptr_t end = start + sections[0].bytes;
  if (sections[0].bytes == 0) {
    end = sections[1].address + bias + sections[1].bytes;
    start = sections[1].bytes != 0 ? SearchForTable(sections[1].address + bias, end) : 0;
  }
  if (start == 0) return false;
  const uintptr_t module_data = sections[2].bytes > kModuleDataText + 8 ? sections[2].address + bias : 0;
  return ReadGoFunctions(start, end, module_data, functions);
}

}  // namespace cgoprof
