// Function names from an ELF symbol table: all there is for code without DWARF.
#ifndef CGOPROF_ADDON_SYMBOL_TABLE_H_
#define CGOPROF_ADDON_SYMBOL_TABLE_H_

#include <stdint.h>

#include <string>

#include "addon/elf_file.h"
#include "addon/range_index.h"

namespace cgoprof {

class SymbolTable {
 public:
  // Adds the functions of the first section of `type` (SHT_SYMTAB or SHT_DYNSYM). Returns whether there were any.
  // `file` must outlive this object.
  bool Add(const ElfFile& file, uint32_t type);

  // The linkage name of the function whose extent (its symbol's value and size) contains the address; '' for none. Of
  // aliases the most public one.
  std::string Find(uint64_t address) const;

 private:
  RangeIndex<const char*> functions_;
};

}  // namespace cgoprof

#endif  // CGOPROF_ADDON_SYMBOL_TABLE_H_
