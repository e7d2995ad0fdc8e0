// One module's addresses get their functions and lines, whatever compiled it and wherever its debug information lies.
#include "addon/symbolizer.h"

#include <gelf.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include "addon/elf_file.h"

namespace cgoprof {

bool operator==(const SourceLine& a, const SourceLine& b) {
  return std::tie(a.name, a.system_name, a.file, a.line, a.start_line) ==
         std::tie(b.name, b.system_name, b.file, b.line, b.start_line);
}

namespace {

namespace fs = std::filesystem;

const fs::path kFixtures = FIXTURE_BINARY_DIR;
const fs::path kSources = FIXTURE_SOURCE_DIR;

// Where a fixture's AT(name) is; 0 when it has no such symbol.
uint64_t AddressOf(const fs::path& file, const std::string& name) {
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
uint32_t LineOf(const std::string& source, const std::string& name) {
  std::ifstream file(kSources / source);
  std::string text;
  for (uint32_t number = 1; std::getline(file, text); ++number) {
    const size_t tag = text.find("line: " + name);
    if (tag != std::string::npos && tag + 6 + name.size() == text.size()) return number;
  }
  ADD_FAILURE() << source << " has no line " << name;
  return 0;
}

std::string ContentOf(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void WriteFile(const fs::path& path, const std::string& content) {
  fs::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << content;
}

using Line = std::tuple<std::string, std::string, uint32_t>;  // name, file, line

std::vector<Line> Lines(const std::vector<SourceLine>& lines) {
  std::vector<Line> result;
  for (const SourceLine& line : lines) result.emplace_back(line.name, line.file, line.line);
  return result;
}

Line At(const std::string& name, const std::string& source, const std::string& tag) {
  return {name, kSources / source, LineOf(source, tag)};
}

// All of the chain in inlined.c.
std::vector<Line> InlinedChain() {
  return {At("innermost", "inlined.c", "inlined"), At("middle", "inlined.c", "middle"),
          At("outermost", "inlined.c", "outermost")};
}

SymbolizeResult Symbolize(const fs::path& file, const std::vector<uint64_t>& addresses,
                          const std::vector<std::string>& debug_roots = {}) {
  return SymbolizeModule({{file}, "", addresses, debug_roots});
}

std::string BuildIdOf(const fs::path& file) {
  std::string why;
  const auto elf = ElfFile::Open(file, &why);
  EXPECT_NE(elf, nullptr) << why;
  return elf ? elf->build_id() : "";
}

fs::path BuildIdPath(const std::string& build_id) {
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

// ---- Compilers -------------------------------------------------------------------------------------------------

// A fixture built by a compiler that not every machine has.
#define SKIP_WITHOUT(file) \
  if (!fs::exists(file)) GTEST_SKIP() << "not built, its compiler is not installed: " << (file)

class InlinedFixture : public testing::TestWithParam<const char*> {};

INSTANTIATE_TEST_SUITE_P(Compilers, InlinedFixture,
                         testing::Values("inlined-gcc-dwarf4.so", "inlined-gcc-dwarf5.so", "inlined-clang-dwarf4.so",
                                         "inlined-clang-dwarf5.so"));

TEST_P(InlinedFixture, HasEveryLineOfTheChain) {
  const fs::path file = kFixtures / GetParam();
  SKIP_WITHOUT(file);
  // Neither ordered nor unique.
  const std::vector<uint64_t> addresses = {AddressOf(file, "outer"), AddressOf(file, "inlined"),
                                           AddressOf(file, "local"), AddressOf(file, "inlined")};
  const SymbolizeResult result = Symbolize(file, addresses);
  EXPECT_EQ(result.warning, "");
  EXPECT_EQ(result.file, file);
  EXPECT_EQ(result.is_go, std::vector<uint8_t>(4, 0));
  ASSERT_EQ(result.lines.size(), 4u);
  EXPECT_EQ(Lines(result.lines[0]), (std::vector<Line>{At("outermost", "inlined.c", "outer")}));
  EXPECT_EQ(Lines(result.lines[1]), InlinedChain());
  EXPECT_EQ(Lines(result.lines[2]), (std::vector<Line>{At("local_function", "inlined.c", "local")}));
  EXPECT_EQ(Lines(result.lines[3]), InlinedChain());
  ASSERT_EQ(result.lines[1].size(), 3u);
  EXPECT_EQ(result.lines[1][0].start_line, LineOf("inlined.c", "inlined") - 1);
  EXPECT_EQ(result.lines[1][2].start_line, LineOf("inlined.c", "outermost") - 1);
  EXPECT_EQ(result.lines[1][2].system_name, "outermost");
}

class NamesFixture : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    file_ = kFixtures / GetParam();
    SKIP_WITHOUT(file_);
  }

  std::vector<SourceLine> LookUp(const std::string& name) const {
    return Symbolize(file_, {AddressOf(file_, name)}).lines[0];
  }

  // GCC records no linkage name, and so no parameters, for what other files cannot call.
  std::string HiddenName(const std::string& name, const std::string& parameters) const {
    const bool is_clang = file_.string().find("clang") != std::string::npos;
    return "shop::(anonymous namespace)::" + name + (is_clang ? parameters : "");
  }

  fs::path file_;
};

INSTANTIATE_TEST_SUITE_P(Compilers, NamesFixture, testing::Values("names-gcc.so", "names-clang.so"));

TEST_P(NamesFixture, DemanglesTemplatesWithTheirParameters) {
  const std::vector<SourceLine> lines = LookUp("template");
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_EQ(lines[0].name, "shop::Basket<int>::Grow(std::vector<int, std::allocator<int> > const&, int)");
  EXPECT_EQ(lines[0].system_name, "_ZN4shop6BasketIiE4GrowERKSt6vectorIiSaIiEEi");
  EXPECT_EQ(lines[0].line, LineOf("names.cc", "template"));
}

TEST_P(NamesFixture, QualifiesWhatHasNoLinkageName) {
  EXPECT_EQ(Lines(LookUp("anonymous")),
            (std::vector<Line>{At(HiddenName("Hidden", "(int)"), "names.cc", "anonymous")}));
  EXPECT_EQ(Lines(LookUp("hidden_class")),
            (std::vector<Line>{At(HiddenName("Drawer::Open", "()"), "names.cc", "hidden_class")}));
  const std::vector<SourceLine> inlined = LookUp("hidden_inlined");
  ASSERT_EQ(inlined.size(), 2u);
  EXPECT_EQ(inlined[0].name, HiddenName("HiddenInlined", "()"));
  EXPECT_EQ(inlined[1].name.substr(0, 11), "shop::Open(");
  EXPECT_EQ(inlined[1].line, LineOf("names.cc", "open"));
}

TEST_P(NamesFixture, KeepsNamesOfTheSource) {
  EXPECT_EQ(Lines(LookUp("extern_c")), (std::vector<Line>{At("plain_c", "names.cc", "extern_c")}));
  const std::vector<SourceLine> labelled = LookUp("asm_label");
  ASSERT_EQ(labelled.size(), 1u);
  EXPECT_EQ(labelled[0].name, "source_name");
  EXPECT_EQ(labelled[0].system_name, "linkage_name");
}

class RustFixture : public testing::TestWithParam<std::tuple<const char*, const char*>> {};

INSTANTIATE_TEST_SUITE_P(Manglings, RustFixture,
                         testing::Values(std::make_tuple("rust-legacy.so", "fixture::pool::grow"),
                                         std::make_tuple("rust-v0.so", "fixture::pool::grow::<u32>")));

TEST_P(RustFixture, Demangles) {
  const auto& [name, grow] = GetParam();
  const fs::path file = kFixtures / name;
  SKIP_WITHOUT(file);
  const SymbolizeResult result = Symbolize(file, {AddressOf(file, "rust")});
  EXPECT_EQ(Lines(result.lines[0]),
            (std::vector<Line>{At("fixture::pool::touch", "fixture.rs", "rust"), At(grow, "fixture.rs", "grow")}));
}

TEST(Symbolizer, FindsFunctionsWithinFunctions) {
  const fs::path file = kFixtures / "nested.so";
  EXPECT_EQ(Lines(Symbolize(file, {AddressOf(file, "nested")}).lines[0]),
            (std::vector<Line>{At("nested", "nested.c", "nested")}));
}

TEST(Symbolizer, AssemblyHasItsSymbolAndItsLine) {
  const fs::path file = kFixtures / "assembly.so";
  EXPECT_EQ(Lines(Symbolize(file, {AddressOf(file, "assembly")}).lines[0]),
            (std::vector<Line>{At("assembly_function", "assembly.s", "assembly")}));
}

TEST(Symbolizer, CallsOnSeveralThreadsDoNotDisturbEachOther) {
  const std::vector<std::string> names = {"inlined-gcc-dwarf5.so", "inlined-gcc-dwarf4.so", "inlined-gcc-dwarf5.so"};
  std::vector<SymbolizeResult> results(names.size());
  std::vector<std::thread> threads;
  for (size_t i = 0; i < names.size(); ++i) {
    threads.emplace_back([&results, &names, i] {
      const fs::path file = kFixtures / names[i];
      results[i] = Symbolize(file, {AddressOf(file, "inlined")});
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const SymbolizeResult& result : results) EXPECT_EQ(Lines(result.lines[0]), InlinedChain());
}

// ---- Separate debug files --------------------------------------------------------------------------------------

class DebugFiles : public SymbolizerFiles {
 protected:
  // A stripped image in the folder, without anything beside it.
  void Install(const std::string& name) {
    built_ = kFixtures / (name + ".so");
    image_ = folder_ / "lib" / (name + ".so");
    debug_ = kFixtures / (name + ".debug");
    WriteFile(image_, ContentOf(kFixtures / (name + ".stripped")));
  }

  SymbolizeResult LookUp() const {
    return Symbolize(image_, {AddressOf(built_, "inlined"), AddressOf(built_, "local")}, {folder_ / "debug"});
  }

  // Exported functions keep a name without the debug file, others have none.
  void ExpectNothingFound(const std::string& reason) const {
    const SymbolizeResult result = LookUp();
    EXPECT_EQ(Lines(result.lines[0]), (std::vector<Line>{{"outermost", "", 0}}));
    EXPECT_TRUE(result.lines[1].empty());
    EXPECT_EQ(result.warning, "1 of 2 addresses have no symbol: " + reason);
  }

  void ExpectFound() const {
    const SymbolizeResult result = LookUp();
    EXPECT_EQ(Lines(result.lines[0]), InlinedChain());
    EXPECT_EQ(Lines(result.lines[1]), (std::vector<Line>{At("local_function", "inlined.c", "local")}));
    EXPECT_EQ(result.warning, "");
    EXPECT_EQ(result.file, image_);
  }

  fs::path built_, image_, debug_;
};

TEST_F(DebugFiles, NoneLeavesExportedNames) {
  Install("inlined-gcc-dwarf5");
  ExpectNothingFound("it has no debug information");
}

TEST_F(DebugFiles, ByBuildId) {
  Install("inlined-gcc-dwarf5");
  WriteFile(folder_ / "debug" / BuildIdPath(BuildIdOf(image_)), ContentOf(debug_));
  ExpectFound();
}

TEST_F(DebugFiles, BesideTheImage) {
  Install("no-build-id");
  WriteFile(folder_ / "lib" / debug_.filename(), ContentOf(debug_));
  ExpectFound();
}

TEST_F(DebugFiles, InItsDebugFolder) {
  Install("no-build-id");
  WriteFile(folder_ / "lib/.debug" / debug_.filename(), ContentOf(debug_));
  ExpectFound();
}

TEST_F(DebugFiles, UnderARoot) {
  Install("no-build-id");
  WriteFile(fs::path((folder_ / "debug").string() + (folder_ / "lib").string()) / debug_.filename(), ContentOf(debug_));
  ExpectFound();
}

TEST_F(DebugFiles, UnderARootByThePathItsProcessSaw) {
  Install("no-build-id");
  const fs::path seen = "/proc/self/root" + image_.string();
  WriteFile(fs::path((folder_ / "debug").string() + (folder_ / "lib").string()) / debug_.filename(), ContentOf(debug_));
  const fs::path by_pid = "/proc/" + std::to_string(getpid()) + "/root" + image_.string();
  const SymbolizeResult result = Symbolize(by_pid, {AddressOf(built_, "inlined")}, {folder_ / "debug"});
  EXPECT_EQ(Lines(result.lines[0]), InlinedChain());
}

TEST_F(DebugFiles, OfAnotherBuildIsNotUsed) {
  Install("no-build-id");
  const fs::path wrong = folder_ / "lib" / debug_.filename();
  WriteFile(wrong, ContentOf(debug_) + "7");  // another CRC
  ExpectNothingFound("the debug file " + wrong.string() + " belongs to another build");
}

TEST_F(DebugFiles, UnderAWrongBuildIdIsNotUsed) {
  Install("inlined-gcc-dwarf5");
  WriteFile(folder_ / "debug" / BuildIdPath(BuildIdOf(image_)), ContentOf(kFixtures / "inlined-gcc-dwarf4.so"));
  ExpectNothingFound("it has no debug information");
}

// dwz moves what several debug files have in common to a file of its own.
class SharedDebugFiles : public SymbolizerFiles {
 protected:
  void SetUp() override {
    SKIP_WITHOUT(built_);
    SymbolizerFiles::SetUp();
  }

  // The inlined function's name is in the shared file.
  std::string InlinedName(const fs::path& file, const std::vector<std::string>& roots) const {
    const std::vector<SourceLine> lines = Symbolize(file, {AddressOf(built_, "hidden_inlined")}, roots).lines[0];
    EXPECT_EQ(lines.size(), 2u);
    return lines.empty() ? "" : lines[0].name;
  }

  const fs::path built_ = kFixtures / "dwz-a.so";
};

TEST_F(SharedDebugFiles, NextToTheImage) {
  EXPECT_EQ(InlinedName(built_, {}), "shop::(anonymous namespace)::HiddenInlined");
}

TEST_F(SharedDebugFiles, ByBuildIdUnderARoot) {
  const fs::path alone = folder_ / "lib.so";
  const fs::path shared = kFixtures / "dwz-shared.debug";
  WriteFile(alone, ContentOf(built_));
  EXPECT_EQ(InlinedName(alone, {}), "??");
  WriteFile(folder_ / "debug" / BuildIdPath(BuildIdOf(shared)), ContentOf(shared));
  EXPECT_EQ(InlinedName(alone, {folder_ / "debug"}), "shop::(anonymous namespace)::HiddenInlined");
}

// ---- Files that are not what was asked for ---------------------------------------------------------------------

class Candidates : public SymbolizerFiles {};

TEST_F(Candidates, TheFirstWithTheBuildIdIsUsed) {
  const fs::path right = kFixtures / "inlined-gcc-dwarf5.so";
  const fs::path wrong = kFixtures / "inlined-gcc-dwarf4.so";
  const SymbolizeResult result =
      SymbolizeModule({{folder_ / "missing", wrong, right}, BuildIdOf(right), {AddressOf(right, "inlined")}, {}});
  EXPECT_EQ(result.file, right);
  EXPECT_EQ(result.warning, "");
  EXPECT_EQ(Lines(result.lines[0]), InlinedChain());
}

TEST_F(Candidates, ReplacedFileIsTold) {
  const fs::path wrong = kFixtures / "inlined-gcc-dwarf4.so";
  const SymbolizeResult result = SymbolizeModule({{wrong, folder_ / "missing"}, "ab12cd34ef567890", {1, 2}, {}});
  EXPECT_EQ(result.file, "");
  EXPECT_EQ(result.warning, "no file with build id ab12cd34ef56… found (" + wrong.string() + " was replaced?)");
  EXPECT_EQ(result.lines, std::vector<std::vector<SourceLine>>(2));
  EXPECT_EQ(result.is_go, std::vector<uint8_t>(2, 0));
}

TEST_F(Candidates, UnreadableFilesAreTold) {
  const fs::path missing = folder_ / "missing";
  EXPECT_EQ(Symbolize(missing, {1}).warning, "no file found (" + missing.string() + ": no such file)");
  const fs::path text = folder_ / "text";
  WriteFile(text, "#!/bin/sh\n");
  EXPECT_EQ(Symbolize(text, {1}).warning,
            "no file found (" + text.string() + ": not a 64-bit little-endian ELF program or library)");
  const fs::path fifo = folder_ / "fifo";
  ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
  EXPECT_EQ(Symbolize(fifo, {1}).warning, "no file found (" + fifo.string() + ": not a regular file)");
  EXPECT_EQ(SymbolizeModule({{}, "", {1}, {}}).warning, "no file found (no path is known)");
}

TEST_F(Candidates, NoAddressesNeedNoSymbols) {
  const SymbolizeResult result = Symbolize(kFixtures / "nested.so", {});
  EXPECT_EQ(result.warning, "");
  EXPECT_TRUE(result.lines.empty());
}

TEST_F(Candidates, AddressesOutsideTheImageHaveNoLines) {
  const SymbolizeResult result = Symbolize(kFixtures / "nested.so", {0, 1, UINT64_MAX});
  EXPECT_EQ(result.lines, std::vector<std::vector<SourceLine>>(3));
  EXPECT_EQ(result.warning, "3 of 3 addresses have no symbol");
}

class DamagedFile : public SymbolizerFiles, public testing::WithParamInterface<const char*> {};

INSTANTIATE_TEST_SUITE_P(Fixtures, DamagedFile,
                         testing::Values("inlined-gcc-dwarf4.so", "inlined-gcc-dwarf5.so", "names-gcc.so"));

TEST_P(DamagedFile, IsSurvived) {
  const std::string good = ContentOf(kFixtures / GetParam());
  std::vector<uint64_t> addresses;
  for (uint64_t address = 0x1000; address < 0x1400; address += 7) addresses.push_back(address);
  const fs::path file = folder_ / "damaged.so";
  constexpr size_t kRounds = 211;
  for (size_t round = 0; round < kRounds; ++round) {
    std::string damaged = good;
    if (round % 5 == 0) damaged.resize(good.size() * round / kRounds);
    // Eight bytes in every 101, elsewhere each round.
    for (size_t at = 64 + round; at + 8 < damaged.size(); at += 101 * 8) {
      damaged.replace(at, 8, 8, static_cast<char>(round * 37));
    }
    WriteFile(file, damaged);
    const SymbolizeResult result = Symbolize(file, addresses);
    EXPECT_EQ(result.lines.size(), addresses.size());
  }
}

}  // namespace
}  // namespace cgoprof
