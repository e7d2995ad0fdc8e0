// Debug information is found where distributions put it, and files that are not what was asked for are told, not used.
#include <gelf.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "addon/symbolizer.h"
#include "symbolizer_fixtures.h"

namespace cgoprof {
namespace {

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

// libdw would read on behind the section.
TEST_F(Candidates, StringsWithoutAnEndAreRefused) {
  const fs::path good = kFixtures / "inlined-gcc-dwarf5.so";
  std::string why;
  const auto elf = ElfFile::Open(good, &why);
  ASSERT_NE(elf, nullptr) << why;
  GElf_Shdr header;
  ASSERT_NE(gelf_getshdr(elf->Section(".debug_line_str"), &header), nullptr);
  std::string damaged = ContentOf(good);
  damaged[header.sh_offset + header.sh_size - 1] = 'x';
  WriteFile(folder_ / "damaged.so", damaged);
  const SymbolizeResult result = Symbolize(folder_ / "damaged.so", {AddressOf(good, "inlined"), 1});
  EXPECT_EQ(Lines(result.lines[0]), (std::vector<Line>{{"outermost", "", 0}}));
  EXPECT_EQ(result.warning, "1 of 2 addresses have no symbol: its debug information cannot be read");
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
