// See dwarf_lines.h.
#include "addon/dwarf_lines.h"

#include <dwarf.h>
#include <gelf.h>

#include <algorithm>
#include <filesystem>

namespace cgoprof {
namespace {

// Scopes and inlined calls nest some dozens deep at most.
constexpr int kMaxDepth = 256;

// libdw (0.188) takes it that these sections end with a NUL. To be asked after dwarf_begin_elf, which decompresses
// them.
bool StringsEnd(const ElfFile& file) {
  for (const char* name : {".debug_str", ".debug_line_str"}) {
    Elf_Scn* section = file.Section(name);
    const Elf_Data* data = section != nullptr ? elf_getdata(section, nullptr) : nullptr;
    if (data == nullptr || data->d_buf == nullptr || data->d_size == 0) continue;
    if (static_cast<const char*>(data->d_buf)[data->d_size - 1] != '\0') return false;
  }
  return true;
}

Dwarf* OpenDwarf(const ElfFile& file) {
  Dwarf* dwarf = dwarf_begin_elf(file.elf(), DWARF_C_READ, nullptr);
  if (dwarf == nullptr || StringsEnd(file)) return dwarf;
  dwarf_end(dwarf);
  return nullptr;
}

uint64_t FirstCodeAddress(const ElfFile& file) {
  uint64_t first = UINT64_MAX;
  for (Elf_Scn* section = elf_nextscn(file.elf(), nullptr); section; section = elf_nextscn(file.elf(), section)) {
    GElf_Shdr header;
    if (gelf_getshdr(section, &header) != nullptr && (header.sh_flags & SHF_EXECINSTR) != 0) {
      first = std::min<uint64_t>(first, header.sh_addr);
    }
  }
  return first == UINT64_MAX ? 0 : first;
}

// The innermost child that contains the address, of the kinds that inlined calls nest in.
std::optional<Dwarf_Die> FindInnerScope(Dwarf_Die* scope, uint64_t address) {
  std::optional<Dwarf_Die> found;
  ForEachChild(scope, [&](Dwarf_Die* child) {
    const int tag = dwarf_tag(child);
    const bool nests = tag == DW_TAG_inlined_subroutine || tag == DW_TAG_lexical_block || tag == DW_TAG_try_block ||
                       tag == DW_TAG_catch_block;
    if (nests && dwarf_haspc(child, address) > 0) found = *child;
    return !found;
  });
  return found;
}

// The physical function and the calls inlined into it at the address, outermost first.
std::vector<Dwarf_Die> InlineChain(const Dwarf_Die& function, uint64_t address) {
  std::vector<Dwarf_Die> chain = {function};
  Dwarf_Die scope = function;
  for (int depth = 0; depth < kMaxDepth; ++depth) {
    const std::optional<Dwarf_Die> inner = FindInnerScope(&scope, address);
    if (!inner) break;
    scope = *inner;
    if (dwarf_tag(&scope) == DW_TAG_inlined_subroutine) chain.push_back(scope);
  }
  return chain;
}

uint32_t Number(Dwarf_Die* die, unsigned int name) {
  Dwarf_Attribute attribute;
  Dwarf_Word value = 0;
  if (dwarf_attr(die, name, &attribute) == nullptr || dwarf_formudata(&attribute, &value) != 0) return 0;
  return value <= INT32_MAX ? static_cast<uint32_t>(value) : 0;
}

// `file` of a line table, which may be relative to where the compiler ran, without "." and "..".
std::string SourcePath(Dwarf_Die* unit, const char* file) {
  if (file == nullptr) return "";
  Dwarf_Attribute attribute;
  const char* directory = dwarf_formstring(dwarf_attr(unit, DW_AT_comp_dir, &attribute));
  return (std::filesystem::path(DwarfText(directory)) / DwarfText(file)).lexically_normal().string();
}

// Where the inlined function was called.
void SetCallSite(Dwarf_Die* unit, Dwarf_Die* inlined, SourceLine* line) {
  Dwarf_Files* files = nullptr;
  size_t count = 0;
  if (dwarf_getsrcfiles(unit, &files, &count) == 0) {
    line->file = SourcePath(unit, dwarf_filesrc(files, Number(inlined, DW_AT_call_file), nullptr, nullptr));
  }
  line->line = Number(inlined, DW_AT_call_line);
}

void SetFromLineTable(Dwarf_Die* unit, uint64_t address, SourceLine* line) {
  Dwarf_Line* entry = dwarf_getsrc_die(unit, address);
  int number = 0;
  if (entry == nullptr || dwarf_lineno(entry, &number) != 0) return;
  line->file = SourcePath(unit, dwarf_linesrc(entry, nullptr, nullptr));
  line->line = number > 0 ? static_cast<uint32_t>(number) : 0;
}

}  // namespace

std::unique_ptr<DwarfLines> DwarfLines::Open(const ElfFile& file, const ElfFile* shared) {
  Dwarf* dwarf = OpenDwarf(file);
  if (dwarf == nullptr) return nullptr;
  Dwarf* shared_dwarf = shared != nullptr ? OpenDwarf(*shared) : nullptr;
  if (shared_dwarf != nullptr) dwarf_setalt(dwarf, shared_dwarf);
  std::unique_ptr<DwarfLines> opened(new DwarfLines(dwarf, shared_dwarf, FirstCodeAddress(file)));
  opened->IndexUnits();
  return opened;
}

DwarfLines::~DwarfLines() {
  dwarf_end(dwarf_);
  dwarf_end(shared_);
}

template <typename Value>
void DwarfLines::AddRanges(Dwarf_Die* die, const Value& value, RangeIndex<Value>* index) {
  Dwarf_Addr base = 0;
  Dwarf_Addr low = 0;
  Dwarf_Addr high = 0;
  for (ptrdiff_t next = 0; ranges_left_ > 0; --ranges_left_) {
    next = dwarf_ranges(die, next, &base, &low, &high);
    if (next <= 0) return;
    if (low != 0 && low >= first_code_) index->Add(low, high, value);
  }
}

void DwarfLines::IndexUnits() {
  Dwarf_CU* unit = nullptr;
  Dwarf_Die die;
  while (dwarf_get_units(dwarf_, unit, &unit, nullptr, nullptr, &die, nullptr) == 0) {
    if (dwarf_tag(&die) != DW_TAG_compile_unit && dwarf_tag(&die) != DW_TAG_skeleton_unit) continue;
    units_.push_back({die, false, false, {}});
    AddRanges(&die, &units_.back(), &unit_ranges_);
  }
  unit_ranges_.Seal();
}

// `nested`: also functions in classes, in functions and in their blocks. Compilers put few there (GNU C nested
// functions, Fortran), and to look costs a walk over every type and function body.
void DwarfLines::IndexFunctions(Unit* unit, Dwarf_Die* parent, bool nested, int depth) {
  if (depth > kMaxDepth) return;
  ForEachChild(parent, [&](Dwarf_Die* child) {
    const int tag = dwarf_tag(child);
    if (tag == DW_TAG_subprogram) AddRanges(child, *child, &unit->functions);
    if (nested || tag == DW_TAG_namespace || tag == DW_TAG_module) IndexFunctions(unit, child, nested, depth + 1);
    return true;
  });
}

std::optional<Dwarf_Die> DwarfLines::FindFunction(Unit* unit, uint64_t address) {
  std::optional<Dwarf_Die> found;
  const auto take = [&found](const Dwarf_Die& function) {
    found = function;
    return true;
  };
  if (!unit->has_functions) {
    unit->has_functions = true;
    IndexFunctions(unit, &unit->die, false, 0);
    unit->functions.Seal();
  }
  if (unit->functions.Find(address, take) || unit->has_nested_functions) return found;
  unit->has_nested_functions = true;
  unit->functions = {};
  IndexFunctions(unit, &unit->die, true, 0);
  unit->functions.Seal();
  unit->functions.Find(address, take);
  return found;
}

const DwarfLines::Function& DwarfLines::Describe(Dwarf_Die die) {
  const Dwarf_Die origin = FunctionOrigin(die);
  const auto [place, is_new] = described_.try_emplace(origin.addr);
  if (is_new) {
    int start_line = 0;
    if (dwarf_decl_line(&die, &start_line) != 0 || start_line < 0) start_line = 0;
    FunctionNames names = names_.Name(die, origin);
    place->second = {std::move(names.name), std::move(names.system_name), static_cast<uint32_t>(start_line)};
  }
  return place->second;
}

std::vector<SourceLine> DwarfLines::Expand(Unit* unit, const Dwarf_Die& function, uint64_t address) {
  std::vector<Dwarf_Die> chain = InlineChain(function, address);
  std::vector<SourceLine> lines;
  for (size_t i = chain.size(); i-- > 0;) {
    const Function& described = Describe(chain[i]);
    SourceLine line{described.name, described.system_name, "", 0, described.start_line};
    if (i + 1 < chain.size()) {
      SetCallSite(&unit->die, &chain[i + 1], &line);
    } else {
      SetFromLineTable(&unit->die, address, &line);
    }
    lines.push_back(std::move(line));
  }
  return lines;
}

std::vector<SourceLine> DwarfLines::Lookup(uint64_t address) {
  std::vector<SourceLine> lines;
  Unit* covering = nullptr;
  unit_ranges_.Find(address, [&](Unit* unit) {
    if (covering == nullptr) covering = unit;
    const std::optional<Dwarf_Die> function = FindFunction(unit, address);
    if (function) lines = Expand(unit, *function, address);
    return function.has_value();
  });
  if (lines.empty() && covering != nullptr) {
    SourceLine line;
    SetFromLineTable(&covering->die, address, &line);
    if (!line.file.empty()) lines.push_back(std::move(line));
  }
  return lines;
}

}  // namespace cgoprof
