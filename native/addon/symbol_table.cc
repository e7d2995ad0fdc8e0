// See symbol_table.h.
#include "addon/symbol_table.h"

#include <gelf.h>
#include <string.h>

#include <algorithm>
#include <tuple>
#include <vector>

namespace cgoprof {
namespace {

struct Symbol {
  uint64_t address;
  uint64_t size;
  int reserve;  // the lower, the more public
  const char* name;
};

// Local names come last: the Go linker has one, such as net(.text), for all that it took from an object file, where the
// first function of that begins. Then malloc comes before __libc_malloc, and global before weak.
int Reserve(const char* name, unsigned char binding) {
  constexpr int kLocal = 100;
  const int underscores = static_cast<int>(std::min<size_t>(strspn(name, "_"), 9));
  return (binding == STB_LOCAL ? kLocal : 0) + underscores * 2 + (binding == STB_GLOBAL ? 0 : 1);
}

bool IsFunction(const GElf_Sym& symbol) {
  const unsigned char type = GELF_ST_TYPE(symbol.st_info);
  return (type == STT_FUNC || type == STT_GNU_IFUNC) && symbol.st_shndx != SHN_UNDEF && symbol.st_size > 0 &&
         symbol.st_size <= UINT64_MAX - symbol.st_value;
}

std::vector<Symbol> ReadFunctions(Elf* elf, Elf_Scn* section) {
  std::vector<Symbol> functions;
  GElf_Shdr header;
  Elf_Data* data = elf_getdata(section, nullptr);
  if (data == nullptr || gelf_getshdr(section, &header) == nullptr) return functions;
  const size_t count = std::min<size_t>(data->d_size / sizeof(Elf64_Sym), INT32_MAX);
  for (size_t i = 0; i < count; ++i) {
    GElf_Sym symbol;
    if (gelf_getsym(data, static_cast<int>(i), &symbol) == nullptr || !IsFunction(symbol)) continue;
    const char* name = elf_strptr(elf, header.sh_link, symbol.st_name);
    if (name == nullptr || *name == '\0') continue;
    functions.push_back({symbol.st_value, symbol.st_size, Reserve(name, GELF_ST_BIND(symbol.st_info)), name});
  }
  return functions;
}

}  // namespace

bool SymbolTable::Add(const ElfFile& file, uint32_t type) {
  Elf_Scn* section = file.SectionOfType(type);
  if (section == nullptr) return false;
  std::vector<Symbol> functions = ReadFunctions(file.elf(), section);
  // The range index finds the last added of equal starts first.
  std::stable_sort(functions.begin(), functions.end(), [](const Symbol& a, const Symbol& b) {
    return std::tie(a.address, b.reserve) < std::tie(b.address, a.reserve);
  });
  for (const Symbol& symbol : functions) functions_.Add(symbol.address, symbol.address + symbol.size, symbol.name);
  functions_.Seal();
  return !functions.empty();
}

std::string SymbolTable::Find(uint64_t address) const {
  std::string found;
  functions_.Find(address, [&found](const char* name) {
    found = name;
    // "name@VERSION" and "name@@VERSION" in .symtab.
    if (const size_t version = found.find('@', 1); version != std::string::npos) found.resize(version);
    return true;
  });
  return found;
}

}  // namespace cgoprof
