// Names and lines of code that is not Go's: from the DWARF of the image or of its separate debug file, else from the
// symbol tables of both.
#ifndef CGOPROF_ADDON_NATIVE_SYMBOLS_H_
#define CGOPROF_ADDON_NATIVE_SYMBOLS_H_

#include <stdint.h>

#include <memory>
#include <string>
#include <vector>

#include "addon/dwarf_lines.h"
#include "addon/elf_file.h"
#include "addon/source_line.h"
#include "addon/symbol_table.h"

namespace cgoprof {

class NativeSymbols {
 public:
  // `image` must outlive this object. For the other two see FindDebugFile.
  NativeSymbols(const ElfFile& image, const std::vector<std::string>& debug_roots,
                const std::vector<std::string>& directories);

  // Innermost inlined function first; [] when nothing is known.
  std::vector<SourceLine> Lookup(uint64_t address);

  // Why there is no DWARF, one clause; '' when there is some.
  const std::string& problem() const { return problem_; }

 private:
  // In the order in which the members after them need them.
  std::unique_ptr<ElfFile> debug_file_;
  std::unique_ptr<ElfFile> shared_debug_file_;
  std::unique_ptr<DwarfLines> dwarf_;
  SymbolTable symbols_;
  std::string problem_;
};

}  // namespace cgoprof

#endif  // CGOPROF_ADDON_NATIVE_SYMBOLS_H_
