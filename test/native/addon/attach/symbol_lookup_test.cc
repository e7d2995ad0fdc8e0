// Looking a name up in tables that may be anything: what is there is found, and nothing takes for ever.
#include "shared/symbol_lookup.h"

#include <gtest/gtest.h>
#include <string.h>

#include <string>
#include <vector>

namespace cgoprof {
namespace {

// Memory from address 0x1000 on; all else cannot be read.
class FakeMemory {
 public:
  static constexpr uint64_t kStart = 0x1000;

  template <typename Value>
  uint64_t Add(const std::vector<Value>& values) {
    const uint64_t address = kStart + bytes_.size();
    const char* const from = reinterpret_cast<const char*>(values.data());
    bytes_.append(from, values.size() * sizeof(Value));
    bytes_.resize((bytes_.size() + 7) / 8 * 8);
    return address;
  }

  template <typename Value>
  bool Read(uint64_t address, Value* value) {
    reads_++;
    if (address < kStart || address - kStart > bytes_.size() || bytes_.size() - (address - kStart) < sizeof(*value))
      return false;
    memcpy(value, bytes_.data() + (address - kStart), sizeof(*value));
    return true;
  }

  bool HasText(uint64_t address, const char* text) {
    for (const char* p = text;; p++, address++) {
      char there;
      if (!Read(address, &there) || there != *p) return false;
      if (*p == '\0') return true;
    }
  }

  uint64_t reads() const { return reads_; }

 private:
  std::string bytes_;
  uint64_t reads_ = 0;
};

constexpr char kStrings[] = "\0free\0valloc\0cfree";  // 1, 6, 13

Elf64_Sym Symbol(uint32_t name, unsigned type, uint16_t section) {
  Elf64_Sym symbol = {};
  symbol.st_name = name;
  symbol.st_info = ELF64_ST_INFO(STB_GLOBAL, type);
  symbol.st_shndx = section;
  return symbol;
}

uint32_t GnuHash(const char* name) {
  uint32_t hash = 5381;
  for (; *name != '\0'; name++) hash = hash * 33 + static_cast<uint8_t>(*name);
  return hash;
}

// free in an old and a current version, valloc undefined, cfree as data: all in one bucket.
class SymbolLookupTest : public testing::Test {
 protected:
  SymbolLookupTest() {
    table_.symbols = memory_.Add<Elf64_Sym>({Symbol(0, STT_NOTYPE, 0), Symbol(1, STT_FUNC, 7), Symbol(1, STT_FUNC, 7),
                                             Symbol(6, STT_FUNC, SHN_UNDEF), Symbol(13, STT_OBJECT, 7)});
    table_.strings = memory_.Add(std::vector<char>(kStrings, kStrings + sizeof(kStrings)));
    table_.versions = memory_.Add<uint16_t>({0, 0x8002, 3, 3, 3});
  }

  void AddGnuHash(uint32_t buckets, uint32_t first, uint32_t bloom_words, uint32_t last_entry) {
    table_.gnu_hash = memory_.Add<uint32_t>({buckets, first, bloom_words, 6, 0, 0, /*bucket*/ 1, GnuHash("free") & ~1u,
                                             GnuHash("free") & ~1u, GnuHash("valloc") & ~1u, last_entry});
  }

  uint64_t Find(const char* name, SymbolVersion version = SymbolVersion::kCurrent) {
    return SymbolLookup(&memory_, table_).Find({name, version});
  }
  uint64_t AddressOf(uint32_t index) const { return table_.symbols + index * sizeof(Elf64_Sym); }

  FakeMemory memory_;
  SymbolTable table_ = {};
};

TEST_F(SymbolLookupTest, FindsAFunctionInTheWantedVersion) {
  AddGnuHash(1, 1, 1, GnuHash("cfree") | 1);
  EXPECT_EQ(Find("free"), AddressOf(2));
  EXPECT_EQ(Find("free", SymbolVersion::kOld), AddressOf(1));
  EXPECT_EQ(Find("valloc"), 0u) << "used here, defined elsewhere";
  EXPECT_EQ(Find("cfree"), 0u) << "data";
  EXPECT_EQ(Find("fre"), 0u);
  EXPECT_EQ(Find(""), 0u);
}

TEST_F(SymbolLookupTest, FindsItByTheOlderTableToo) {
  table_.sysv_hash = memory_.Add<uint32_t>({1, 5, /*bucket*/ 1, /*chain*/ 0, 2, 3, 4, 0});
  EXPECT_EQ(Find("free"), AddressOf(2));
  EXPECT_EQ(Find("valloc"), 0u);
}

TEST_F(SymbolLookupTest, ATableThatRunsOnEndsWithTheMemory) {
  AddGnuHash(1, 1, 1, GnuHash("cfree") & ~1u);
  EXPECT_EQ(Find("malloc"), 0u);
}

TEST_F(SymbolLookupTest, AnEmptyTableHasNothing) {
  AddGnuHash(0, 1, 1, 1);
  EXPECT_EQ(Find("free"), 0u);
  table_.gnu_hash = 0;
  EXPECT_EQ(Find("free"), 0u);
  table_.sysv_hash = memory_.Add<uint32_t>({0, 0});
  EXPECT_EQ(Find("free"), 0u);
}

TEST_F(SymbolLookupTest, NumbersMayBeAnything) {
  for (const uint32_t number : {0u, 2u, 5u, 0x7fffffffu, 0xffffffffu}) {
    AddGnuHash(1, number, 1, 1);
    Find("free");
    AddGnuHash(1, 1, number, 1);
    Find("free");
    AddGnuHash(number, 1, 1, 1);
    Find("free");
  }
}

TEST_F(SymbolLookupTest, AChainThatGoesRoundIsLeft) {
  table_.sysv_hash = memory_.Add<uint32_t>({1, 0xffffffff, /*bucket*/ 3, /*chain*/ 0, 2, 3, 4, 3});
  EXPECT_EQ(Find("malloc"), 0u);
  EXPECT_LT(memory_.reads(), 10'000'000u);
}

}  // namespace
}  // namespace cgoprof
