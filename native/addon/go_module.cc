// See go_module.h.
#include "addon/go_module.h"

#include <stddef.h>

#include <algorithm>
#include <iterator>

#include "addon/byte_reader.h"

namespace cgoprof {
namespace {

constexpr uint32_t kMagicGo118 = 0xfffffff0;
constexpr uint32_t kMagicGo120 = 0xfffffff1;
constexpr uint32_t kOldestMagic = 0xfffffffa;  // Go 1.16; 0xfffffffb is Go 1.2

// Words of runtime.moduledata. Up to `text` nothing moved since Go 1.18.
constexpr uint64_t kWordPcHeader = 0;
constexpr uint64_t kWordNames = 1;
constexpr uint64_t kWordFunctions = 13;
constexpr uint64_t kWordText = 22;
constexpr uint64_t kWordGoFuncGo118 = 38;
constexpr uint64_t kWordGoFuncGo120 = 40;  // covctrs, ecovctrs came in before it
constexpr uint64_t kWordGoFuncEarliest = 36;
constexpr uint64_t kWordGoFuncLatest = 60;

// runtime.pcHeader.
struct PcHeader {
  uint32_t magic;
  uint8_t pad[2];
  uint8_t instruction_quantum;
  uint8_t pointer_size;
  uint64_t function_count;
  uint64_t file_count;
  uint64_t text_start;  // unused, 0, since Go 1.26
  uint64_t names;       // offsets from the header's own address
  uint64_t unit_files;
  uint64_t files;
  uint64_t pc_values;
  uint64_t functions;
};
static_assert(sizeof(PcHeader) == 72);

struct Candidate {
  uint64_t address;
  std::string_view bytes;  // from `address` to where the table ends at the latest
};

bool LooksLikeHeader(const PcHeader& header) {
  return header.pad[0] == 0 && header.pad[1] == 0 && header.pointer_size == 8 &&
         (header.instruction_quantum == 1 || header.instruction_quantum == 4);
}

// Fills the tables from the header. The linker writes them in this order, each up to the next.
bool CutTables(std::string_view bytes, const PcHeader& header, GoModule* module) {
  const uint64_t offsets[] = {sizeof(header),   header.names,     header.unit_files, header.files,
                              header.pc_values, header.functions, bytes.size()};
  if (!std::is_sorted(std::begin(offsets), std::end(offsets))) return false;
  module->names = bytes.substr(header.names, header.unit_files - header.names);
  module->unit_files = bytes.substr(header.unit_files, header.files - header.unit_files);
  module->files = bytes.substr(header.files, header.pc_values - header.files);
  module->pc_values = bytes.substr(header.pc_values, header.functions - header.pc_values);
  module->functions = bytes.substr(header.functions);
  module->function_count = header.function_count;
  const uint64_t room = module->functions.size() / kFunctionEntrySize;
  return header.function_count > 0 && header.function_count < room;  // < : the sentinel needs room too
}

bool ParseHeader(const Candidate& candidate, PcHeader* header, GoModule* module) {
  if (!ReadAt(candidate.bytes, 0, header) || !LooksLikeHeader(*header)) return false;
  if (header->magic != kMagicGo118 && header->magic != kMagicGo120) return false;
  module->has_start_line = header->magic == kMagicGo120;
  module->quantum = header->instruction_quantum;
  return CutTables(candidate.bytes, *header, module);
}

// The header's 8-byte-aligned start in data that has no section of its own.
std::optional<Candidate> SearchHeader(const MemoryImage& image) {
  for (const MemoryImage::Segment& segment : image.segments()) {
    const std::string_view bytes = segment.bytes;
    for (size_t at = -segment.address % 8; at + sizeof(PcHeader) <= bytes.size(); at += 8) {
      const Candidate candidate{segment.address + at, bytes.substr(at)};
      PcHeader header;
      GoModule ignored;
      if (ParseHeader(candidate, &header, &ignored)) return candidate;
    }
  }
  return std::nullopt;
}

std::string DescribeFormat(std::string_view bytes) {
  uint32_t magic = 0;
  if (!ReadAt(bytes, 0, &magic)) return "its Go symbol table is cut short";
  if (magic == kMagicGo118 || magic == kMagicGo120) return "its Go symbol table is damaged";
  if (magic >= kOldestMagic) return "it was built by a Go older than 1.18, whose symbol table is not read";
  return "its Go symbol table has a format that this version does not know";
}

// The moduledata that belongs to the header: it begins with the header's address, and says the same about two tables.
std::optional<uint64_t> FindModuleData(const MemoryImage& image, const Candidate& table, const PcHeader& header) {
  constexpr size_t kMaxPlaces = 64;  // a few others, such as symbols of the runtime, point to the header too
  for (const uint64_t place : image.PlacesOf(table.address, kMaxPlaces)) {
    uint64_t names = 0;
    uint64_t functions = 0;
    if (image.ReadPointer(place + 8 * kWordNames, &names) && names == table.address + header.names &&
        image.ReadPointer(place + 8 * kWordFunctions, &functions) && functions == table.address + header.functions) {
      return place + 8 * kWordPcHeader;
    }
  }
  return std::nullopt;
}

// moduledata.gofunc. From Go 1.26 on, where fields before it moved with every release, it points into the symbol table,
// and the word after it (epclntab) to the table's end; nothing before it does.
bool ReadGoFunc(const MemoryImage& image, uint64_t module_data, const Candidate& table, const PcHeader& header,
                uint64_t* go_func) {
  if (header.magic == kMagicGo118) return image.ReadPointer(module_data + 8 * kWordGoFuncGo118, go_func);
  if (header.text_start != 0) return image.ReadPointer(module_data + 8 * kWordGoFuncGo120, go_func);
  for (uint64_t word = kWordGoFuncEarliest; word <= kWordGoFuncLatest; ++word) {
    uint64_t end = 0;
    if (!image.ReadPointer(module_data + 8 * word, go_func)) return false;
    if (*go_func - table.address >= table.bytes.size()) continue;
    if (image.ReadPointer(module_data + 8 * (word + 1), &end) && end - *go_func <= table.bytes.size()) return true;
  }
  return false;
}

}  // namespace

bool IsGoImage(const ElfFile& file) {
  for (const char* section : {".gopclntab", ".go.buildinfo", ".note.go.buildid"}) {
    if (file.Section(section) != nullptr) return true;
  }
  return false;
}

std::optional<GoModule> FindGoModule(const MemoryImage& image, uint64_t section, uint64_t section_bytes,
                                     std::string* why) {
  std::optional<Candidate> table;
  if (section != 0) {
    table = Candidate{section, image.From(section).substr(0, section_bytes)};
  } else if (table = SearchHeader(image); !table) {
    *why = "its Go symbol table was not found";
    return std::nullopt;
  }
  GoModule module;
  PcHeader header;
  if (!ParseHeader(*table, &header, &module)) {
    *why = DescribeFormat(table->bytes);
    return std::nullopt;
  }
  // A position-independent image may hold the address in a relocation only.
  image.ReadPointer(table->address + offsetof(PcHeader, text_start), &header.text_start);
  module.text = header.text_start;
  if (const auto module_data = FindModuleData(image, *table, header)) {
    uint64_t go_func = 0;
    image.ReadPointer(*module_data + 8 * kWordText, &module.text);
    if (ReadGoFunc(image, *module_data, *table, header, &go_func)) module.func_data = image.From(go_func);
  }
  if (module.text == 0) {
    *why = "the start of its Go code was not found";
    return std::nullopt;
  }
  return module;
}

}  // namespace cgoprof
