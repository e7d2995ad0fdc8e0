// Addresses to functions, inlined functions and lines by DWARF (versions 2 to 5), through libdw.
//
// Only what is asked for is parsed: the ranges of all compilation units once, then the functions and the line table of
// each unit that an address falls into, then the inlining tree of each function hit.
#ifndef CGOPROF_ADDON_DWARF_LINES_H_
#define CGOPROF_ADDON_DWARF_LINES_H_

#include <elfutils/libdw.h>
#include <stdint.h>

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "addon/dwarf_names.h"
#include "addon/elf_file.h"
#include "addon/range_index.h"
#include "addon/source_line.h"

namespace cgoprof {

class DwarfLines {
 public:
  // nullptr when `file` has no DWARF that libdw can read. `shared` is where dwz put a part of it, or nullptr. Both
  // files must outlive this object.
  static std::unique_ptr<DwarfLines> Open(const ElfFile& file, const ElfFile* shared);
  ~DwarfLines();
  DwarfLines(const DwarfLines&) = delete;
  DwarfLines& operator=(const DwarfLines&) = delete;

  // The lines at an address inside a call, innermost inlined function first. [] when no unit covers it; one line
  // without a name when only the line table does.
  std::vector<SourceLine> Lookup(uint64_t address);

 private:
  struct Unit {
    Dwarf_Die die;
    bool has_functions = false;
    bool has_nested_functions = false;
    RangeIndex<Dwarf_Die> functions;
  };

  // The parts of SourceLine that depend on the function alone.
  struct Function {
    std::string name;
    std::string system_name;
    uint32_t start_line;
  };

  DwarfLines(Dwarf* dwarf, Dwarf* shared, uint64_t first_code)
      : dwarf_(dwarf), shared_(shared), first_code_(first_code) {}

  void IndexUnits();
  void IndexFunctions(Unit* unit, Dwarf_Die* parent, bool nested, int depth);
  template <typename Value>
  void AddRanges(Dwarf_Die* die, const Value& value, RangeIndex<Value>* index);
  std::optional<Dwarf_Die> FindFunction(Unit* unit, uint64_t address);
  const Function& Describe(Dwarf_Die die);
  std::vector<SourceLine> Expand(Unit* unit, const Dwarf_Die& function, uint64_t address);

  Dwarf* const dwarf_;
  Dwarf* const shared_;
  const uint64_t first_code_;  // ranges below it belong to functions that the linker discarded
  std::deque<Unit> units_;
  RangeIndex<Unit*> unit_ranges_;
  uint64_t ranges_left_ = 8'000'000;  // made-up units could all claim one huge list
  DwarfNames names_;
  std::unordered_map<const void*, Function> described_;  // by the origin's address
};

}  // namespace cgoprof

#endif  // CGOPROF_ADDON_DWARF_LINES_H_
