// What the tests of the symbolizer share: fixtures, which CMakeLists.txt there builds, and what is known of their
// lines.
#ifndef CGOPROF_TEST_ADDON_SYMBOLIZER_FIXTURES_H_
#define CGOPROF_TEST_ADDON_SYMBOLIZER_FIXTURES_H_

#include <gelf.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <tuple>
#include <vector>

#include "addon/elf_file.h"
#include "addon/symbolizer.h"

namespace cgoprof {

inline bool operator==(const SourceLine& a, const SourceLine& b) {
  return std::tie(a.name, a.system_name, a.file, a.line, a.start_line) ==
         std::tie(b.name, b.system_name, b.file, b.line, b.start_line);
}

namespace fs = std::filesystem;

inline const fs::path kFixtures = FIXTURE_BINARY_DIR;
inline const fs::path kSources = FIXTURE_SOURCE_DIR;

// Where a fixture's AT(name) is; 0 when it has no such symbol.
inline uint64_t AddressOf(const fs::path& file, const std::string& name) {
  std::string why;
  const auto elf = ElfFile::Open(file, &why);
  if (!elf) return 0;
  GElf_Shdr header;
  Elf_Scn* section = elf->SectionOfType(SHT_SYMTAB);
  if (section == nullptr || gelf_getshdr(section, &header) == nullptr) return 0;
  Elf_Data* data = elf_getdata(section, nullptr);
  GElf_Sym symbol;
  for (int i = 0; gelf_getsym(data, i, &symbol) != nullptr; ++i) {
    if ("at_" + name == elf_strptr(elf->elf(), header.sh_link, symbol.st_name)) return symbol.st_value;
  }
  return 0;
}

// The number of the line of a fixture's source that says "line: name".
inline uint32_t LineOf(const std::string& source, const std::string& name) {
  std::ifstream file(kSources / source);
  std::string text;
  for (uint32_t number = 1; std::getline(file, text); ++number) {
    const size_t tag = text.find("line: " + name);
    if (tag != std::string::npos && tag + 6 + name.size() == text.size()) return number;
  }
  ADD_FAILURE() << source << " has no line " << name;
  return 0;
}

inline std::string ContentOf(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

inline void WriteFile(const fs::path& path, const std::string& content) {
  fs::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << content;
}

using Line = std::tuple<std::string, std::string, uint32_t>;  // name, file, line

inline std::vector<Line> Lines(const std::vector<SourceLine>& lines) {
  std::vector<Line> result;
  result.reserve(lines.size());
  for (const SourceLine& line : lines) result.emplace_back(line.name, line.file, line.line);
  return result;
}

inline Line At(const std::string& name, const std::string& source, const std::string& tag) {
  return {name, kSources / source, LineOf(source, tag)};
}

// All of the chain in inlined.c.
inline std::vector<Line> InlinedChain() {
  return {At("innermost", "inlined.c", "inlined"), At("middle", "inlined.c", "middle"),
          At("outermost", "inlined.c", "outermost")};
}

inline SymbolizeResult Symbolize(const fs::path& file, const std::vector<uint64_t>& addresses,
                                 const std::vector<std::string>& debug_roots = {}) {
  return SymbolizeModule({{file}, "", addresses, debug_roots});
}

inline std::string BuildIdOf(const fs::path& file) {
  std::string why;
  const auto elf = ElfFile::Open(file, &why);
  EXPECT_NE(elf, nullptr) << why;
  return elf ? elf->build_id() : "";
}

inline fs::path BuildIdPath(const std::string& build_id) {
  return fs::path(".build-id") / build_id.substr(0, 2) / (build_id.substr(2) + ".debug");
}

// A folder that is gone when the test is.
class SymbolizerFiles : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = testing::TempDir() + "cgoprof-symbolizer-XXXXXX";
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    folder_ = name;
  }
  void TearDown() override { fs::remove_all(folder_); }

  fs::path folder_;
};

// A fixture built by a compiler that not every machine has.
#define SKIP_WITHOUT(file) \
  if (!fs::exists(file)) GTEST_SKIP() << "not built, its compiler is not installed: " << (file)

}  // namespace cgoprof

#endif  // CGOPROF_TEST_ADDON_SYMBOLIZER_FIXTURES_H_
