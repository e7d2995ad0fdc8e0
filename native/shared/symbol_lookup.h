// Looks a name up in the dynamic symbol table of an ELF image as it lies in memory: another process's, or this one's,
// where the file behind it may have been cut short or overwritten since it was loaded. So every read may fail, what is
// read may be anything, and chains are followed for a bounded number of steps.
//
// Formats: the ELF gABI, and binutils' bfd/elflink.c for DT_GNU_HASH.
#ifndef CGOPROF_SHARED_SYMBOL_LOOKUP_H_
#define CGOPROF_SHARED_SYMBOL_LOOKUP_H_

#include <elf.h>
#include <stdint.h>

namespace cgoprof {

// Run-time addresses; 0: the image has none.
struct SymbolTable {
  uint64_t symbols;
  uint64_t strings;
  uint64_t versions;
  uint64_t gnu_hash;
  uint64_t sysv_hash;
};

enum class SymbolVersion { kCurrent, kOld };  // old: kept for old programs only

struct WantedSymbol {
  const char* name;
  SymbolVersion version;
};

// Memory has a `bool Read(uint64_t address, T* value)` for integers and Elf64_Sym, and a
// `bool HasText(uint64_t address, const char* text)`: whether the text with its NUL lies there.
template <typename Memory>
class SymbolLookup {
 public:
  SymbolLookup(Memory* memory, const SymbolTable& table) : memory_(memory), table_(table) {}

  // The address of the symbol of a function (STT_FUNC, STT_GNU_IFUNC) that the image defines; 0: it defines none.
  uint64_t Find(const WantedSymbol& wanted) const {
    if (table_.symbols == 0 || table_.strings == 0) return 0;
    if (table_.gnu_hash != 0) return FindByGnuHash(wanted);
    return table_.sysv_hash != 0 ? FindBySysvHash(wanted) : 0;
  }

 private:
  static constexpr uint32_t kMostSteps = 1 << 20;

  uint64_t FindByGnuHash(const WantedSymbol& wanted) const {
    uint32_t hash = 5381;
    for (const char* p = wanted.name; *p != '\0'; p++) hash = hash * 33 + static_cast<uint8_t>(*p);
    constexpr uint64_t kHeaderBytes = 16;
    uint32_t buckets, first, bloom_words, index;
    if (!memory_->Read(table_.gnu_hash, &buckets) || !memory_->Read(table_.gnu_hash + 4, &first) ||
        !memory_->Read(table_.gnu_hash + 8, &bloom_words) || buckets == 0)
      return 0;
    const uint64_t bucket = table_.gnu_hash + kHeaderBytes + uint64_t{bloom_words} * sizeof(uint64_t);
    const uint64_t chain = bucket + uint64_t{buckets} * sizeof(uint32_t);
    if (!memory_->Read(bucket + uint64_t{hash % buckets} * sizeof(uint32_t), &index) || index < first) return 0;
    for (uint32_t step = 0; step < kMostSteps; step++, index++) {
      uint32_t entry;
      if (!memory_->Read(chain + uint64_t{index - first} * sizeof(uint32_t), &entry)) return 0;
      if ((entry | 1) == (hash | 1) && Is(index, wanted)) return AddressOf(index);
      if ((entry & 1) != 0) return 0;
    }
    return 0;
  }

  uint64_t FindBySysvHash(const WantedSymbol& wanted) const {
    uint32_t hash = 0;
    for (const char* p = wanted.name; *p != '\0'; p++) {
      hash = (hash << 4) + static_cast<uint8_t>(*p);
      hash = (hash ^ (hash >> 24 & 0xf0)) & 0x0fffffff;
    }
    constexpr uint64_t kHeaderBytes = 8;
    uint32_t buckets, symbols, index;
    if (!memory_->Read(table_.sysv_hash, &buckets) || !memory_->Read(table_.sysv_hash + 4, &symbols) || buckets == 0)
      return 0;
    const uint64_t bucket = table_.sysv_hash + kHeaderBytes;
    const uint64_t chain = bucket + uint64_t{buckets} * sizeof(uint32_t);
    if (!memory_->Read(bucket + uint64_t{hash % buckets} * sizeof(uint32_t), &index)) return 0;
    for (uint32_t step = 0; index != 0 && index < symbols && step < kMostSteps; step++) {
      if (Is(index, wanted)) return AddressOf(index);
      if (!memory_->Read(chain + uint64_t{index} * sizeof(uint32_t), &index)) return 0;
    }
    return 0;
  }

  uint64_t AddressOf(uint32_t index) const { return table_.symbols + uint64_t{index} * sizeof(Elf64_Sym); }

  bool Is(uint32_t index, const WantedSymbol& wanted) const {
    constexpr uint16_t kHiddenVersion = 0x8000;
    Elf64_Sym symbol;
    if (!memory_->Read(AddressOf(index), &symbol)) return false;
    const unsigned type = ELF64_ST_TYPE(symbol.st_info);
    // One that is not defined may have a value all the same: the PLT entry that a program shows for comparison.
    if (symbol.st_shndx == SHN_UNDEF || (type != STT_FUNC && type != STT_GNU_IFUNC)) return false;
    uint16_t version = 0;
    if (table_.versions != 0 && !memory_->Read(table_.versions + uint64_t{index} * sizeof(version), &version))
      return false;
    const bool is_old = (version & kHiddenVersion) != 0;
    return is_old == (wanted.version == SymbolVersion::kOld) &&
           memory_->HasText(table_.strings + symbol.st_name, wanted.name);
  }

  Memory* const memory_;
  const SymbolTable table_;
};

}  // namespace cgoprof

#endif  // CGOPROF_SHARED_SYMBOL_LOOKUP_H_
