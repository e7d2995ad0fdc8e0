// See native_symbols.h.
#include "addon/native_symbols.h"

#include <elf.h>

#include "addon/debug_file.h"
#include "addon/demangle.h"

namespace cgoprof {
namespace {

constexpr char kUnknownName[] = "??";  // as addr2line has it

bool HasDwarf(const ElfFile& file) {
  return file.Section(".debug_info") != nullptr || file.Section(".zdebug_info") != nullptr;
}

}  // namespace

NativeSymbols::NativeSymbols(const ElfFile& image, const std::vector<std::string>& debug_roots,
                             const std::vector<std::string>& directories) {
  const ElfFile* with_dwarf = HasDwarf(image) ? &image : nullptr;
  if (with_dwarf == nullptr) {
    debug_file_ = FindDebugFile(image, debug_roots, directories, &problem_);
    if (debug_file_ && HasDwarf(*debug_file_)) with_dwarf = debug_file_.get();
  }
  if (with_dwarf != nullptr) {
    shared_debug_file_ = FindSharedDebugFile(*with_dwarf, debug_roots);
    dwarf_ = DwarfLines::Open(*with_dwarf, shared_debug_file_.get());
    problem_ = dwarf_ ? "" : "its debug information cannot be read";
  } else if (problem_.empty()) {
    problem_ = "it has no debug information";
  }
  const bool has_all = symbols_.Add(image, SHT_SYMTAB) || (debug_file_ && symbols_.Add(*debug_file_, SHT_SYMTAB));
  if (!has_all) symbols_.Add(image, SHT_DYNSYM);
}

std::vector<SourceLine> NativeSymbols::Lookup(uint64_t address) {
  std::vector<SourceLine> lines;
  if (dwarf_) lines = dwarf_->Lookup(address);
  if (lines.empty() || lines.back().name.empty()) {
    const std::string symbol = symbols_.Find(address);
    if (lines.empty() && !symbol.empty()) lines.emplace_back();
    if (!lines.empty()) {
      lines.back().name = Demangle(symbol);
      lines.back().system_name = symbol;
    }
  }
  for (SourceLine& line : lines) {
    if (line.name.empty()) line.name = line.system_name.empty() ? kUnknownName : line.system_name;
    if (line.system_name.empty()) line.system_name = line.name;
  }
  return lines;
}

}  // namespace cgoprof
