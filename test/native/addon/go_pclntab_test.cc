// Go addresses get the runtime's names, files, lines and inlining; tables that lie or loop give nothing and end.
#include "addon/go_pclntab.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "go_table_builder.h"

namespace cgoprof {
namespace {

constexpr uint64_t kText = GoTableBuilder::kText;

using Line = std::tuple<std::string, std::string, uint32_t, uint32_t>;  // name, file, line, start line

std::vector<Line> Lines(const GoLocation& location) {
  std::vector<Line> lines;
  for (const SourceLine& line : location.lines) {
    EXPECT_EQ(line.name, line.system_name);
    lines.emplace_back(line.name, line.file, line.line, line.start_line);
  }
  return lines;
}

std::unique_ptr<GoPclntab> OpenImage(MemoryImage image, std::string* why) {
  return GoPclntab::FromMemory(std::move(image), 0, 0, why);
}

std::unique_ptr<GoPclntab> OpenSample(GoFormat format) {
  std::string why;
  auto table = OpenImage(SampleGoProgram(format).Image(kSampleTextBytes), &why);
  EXPECT_NE(table, nullptr) << why;
  return table;
}

// The image with the bytes of one of its segments replaced.
MemoryImage WithSegment(const MemoryImage& image, size_t index, const std::string& bytes) {
  MemoryImage changed;
  for (size_t i = 0; i < image.segments().size(); ++i) {
    const MemoryImage::Segment& segment = image.segments()[i];
    changed.AddSegment(segment.address, i == index ? bytes : segment.bytes);
  }
  return changed;
}

// Every address of the text, and some around it: the answers do not matter, that there are some does.
void LookUpEverything(GoPclntab* table) {
  for (uint64_t address = kText - 8; address < kText + kSampleTextBytes + 8; address += 5) {
    EXPECT_LE(table->Lookup(address).lines.size(), 256u);
  }
  table->Lookup(0);
  table->Lookup(UINT64_MAX);
}

class GoPclntabFormat : public testing::TestWithParam<GoFormat> {
 protected:
  // Start lines are in the table since Go 1.20.
  uint32_t StartLine(uint32_t line) const { return GetParam() == GoFormat::kGo118 ? 0 : line; }
};

INSTANTIATE_TEST_SUITE_P(Formats, GoPclntabFormat,
                         testing::Values(GoFormat::kGo118, GoFormat::kGo120, GoFormat::kGo126));

TEST_P(GoPclntabFormat, ExpandsInlinedCallsInnermostFirst) {
  const auto table = OpenSample(GetParam());
  const GoLocation location = table->Lookup(kText + 0x50);
  EXPECT_EQ(location.kind, GoLocation::kGo);
  EXPECT_EQ(Lines(location), (std::vector<Line>{{"main.inner", "/src/inner.go", 37, StartLine(31)},
                                                {"main.middle", "/src/work.go", 23, StartLine(19)},
                                                {"main.work", "/src/work.go", 11, StartLine(7)}}));
}

TEST_P(GoPclntabFormat, LineChangesWhereTheTableSaysSo) {
  const auto table = OpenSample(GetParam());
  EXPECT_EQ(Lines(table->Lookup(kText + 0x1f)), (std::vector<Line>{{"main.work", "/src/work.go", 11, StartLine(7)}}));
  EXPECT_EQ(Lines(table->Lookup(kText + 0x20)).size(), 2u);
  EXPECT_EQ(Lines(table->Lookup(kText + 0xff)), (std::vector<Line>{{"main.work", "/src/work.go", 13, StartLine(7)}}));
}

TEST_P(GoPclntabFormat, LeavesWrappersOut) {
  const auto table = OpenSample(GetParam());
  const GoLocation inlined = table->Lookup(kText + 0x110);
  EXPECT_EQ(Lines(inlined), (std::vector<Line>{{"main.inner", "/src/inner.go", 41, StartLine(31)}}));
  const GoLocation bare = table->Lookup(kText + 0x150);
  EXPECT_EQ(bare.kind, GoLocation::kGo);
  EXPECT_TRUE(bare.lines.empty());
}

TEST_P(GoPclntabFormat, CodeOfTheInternalLinkerIsForeign) {
  const auto table = OpenSample(GetParam());
  const GoLocation location = table->Lookup(kText + 0x190);
  EXPECT_EQ(location.kind, GoLocation::kForeign);
  EXPECT_EQ(Lines(location), (std::vector<Line>{{"c_function", "", 0, 0}}));
}

TEST_P(GoPclntabFormat, NothingOutsideTheText) {
  const auto table = OpenSample(GetParam());
  for (const uint64_t address : {uint64_t{0}, kText - 1, kText + kSampleTextBytes, UINT64_MAX}) {
    EXPECT_EQ(table->Lookup(address).kind, GoLocation::kNothing) << address;
  }
}

TEST_P(GoPclntabFormat, ReadsAddressesFromRelocations) {
  const GoTableBuilder builder = SampleGoProgram(GetParam());
  const std::string table = builder.Table(kSampleTextBytes);
  const std::string module_data = builder.ModuleData(table);
  const MemoryImage plain = builder.Image(kSampleTextBytes);
  MemoryImage image = WithSegment(plain, 1, std::string(module_data.size(), '\0'));
  for (size_t at = module_data.size(); at >= 8; at -= 8) {  // not sorted
    uint64_t value = 0;
    memcpy(&value, module_data.data() + at - 8, sizeof(value));
    if (value != 0) image.AddRelocation(GoTableBuilder::kModuleData + at - 8, value);
  }
  image.SealRelocations();
  std::string why;
  const auto opened = OpenImage(std::move(image), &why);
  ASSERT_NE(opened, nullptr) << why;
  EXPECT_EQ(opened->Lookup(kText + 0x50).lines.size(), 3u);
}

TEST_P(GoPclntabFormat, FindsTheTableWithinOtherData) {
  const GoTableBuilder builder = SampleGoProgram(GetParam());
  const MemoryImage plain = builder.Image(kSampleTextBytes);
  MemoryImage image;
  const std::string before(64, '\xf1');  // looks like the start of a magic number, over and over
  image.AddSegment(GoTableBuilder::kTable - before.size(), before + builder.Table(kSampleTextBytes));
  image.AddSegment(plain.segments()[1].address, plain.segments()[1].bytes);
  if (GetParam() != GoFormat::kGo126) image.AddSegment(plain.segments()[2].address, plain.segments()[2].bytes);
  std::string why;
  const auto opened = OpenImage(std::move(image), &why);
  ASSERT_NE(opened, nullptr) << why;
  EXPECT_EQ(opened->Lookup(kText + 0x50).lines.size(), 3u);
}

TEST_P(GoPclntabFormat, SurvivesEveryDamagedByte) {
  const MemoryImage good = SampleGoProgram(GetParam()).Image(kSampleTextBytes);
  for (size_t segment = 0; segment < good.segments().size(); ++segment) {
    const std::string& bytes = good.segments()[segment].bytes;
    for (size_t at = 0; at < bytes.size(); ++at) {
      for (const char value : {'\x00', '\x7f', '\x80', '\xff'}) {
        std::string damaged = bytes;
        damaged[at] = value;
        std::string why;
        const auto table = OpenImage(WithSegment(good, segment, damaged), &why);
        EXPECT_EQ(table == nullptr, !why.empty());
        if (table) LookUpEverything(table.get());
      }
    }
  }
}

TEST_P(GoPclntabFormat, SurvivesEveryCut) {
  const MemoryImage good = SampleGoProgram(GetParam()).Image(kSampleTextBytes);
  for (size_t segment = 0; segment < good.segments().size(); ++segment) {
    const std::string& bytes = good.segments()[segment].bytes;
    for (size_t length = 0; length < bytes.size(); ++length) {
      std::string why;
      const auto table = OpenImage(WithSegment(good, segment, bytes.substr(0, length)), &why);
      EXPECT_EQ(table == nullptr, !why.empty());
      if (table) LookUpEverything(table.get());
    }
  }
}

TEST(GoPclntab, WithoutModuleDataTheTableStillNamesFunctions) {
  const GoTableBuilder builder = SampleGoProgram(GoFormat::kGo120);
  MemoryImage image;
  image.AddSegment(GoTableBuilder::kTable, builder.Table(kSampleTextBytes));
  std::string why;
  const auto table = OpenImage(std::move(image), &why);
  ASSERT_NE(table, nullptr) << why;
  EXPECT_EQ(Lines(table->Lookup(kText + 0x50)), (std::vector<Line>{{"main.work", "/src/inner.go", 37, 7}}));
}

TEST(GoPclntab, CyclicInliningEnds) {
  GoTableBuilder builder(GoFormat::kGo120);
  const int32_t file = builder.AddFile("/src/loop.go");
  builder.AddFunction({"main.loop", 0, {{0x100, file}}, {{0x100, 3}}, {{0x100, 0}}, {{"main.inlined", 0x10, 2}}, 1});
  std::string why;
  const auto table = OpenImage(builder.Image(0x100), &why);
  ASSERT_NE(table, nullptr) << why;
  const std::vector<SourceLine> lines = table->Lookup(kText + 0x20).lines;
  EXPECT_EQ(lines.size(), 256u);
  EXPECT_TRUE(std::all_of(lines.begin(), lines.end(), [](const auto& line) { return line.name == "main.inlined"; }));
}

TEST(GoPclntab, SaysWhyItCannotReadATable) {
  const GoTableBuilder builder = SampleGoProgram(GoFormat::kGo120);
  const std::string table = builder.Table(kSampleTextBytes);
  const auto why_not = [](std::string bytes, uint64_t section) {
    MemoryImage image;
    image.AddSegment(GoTableBuilder::kTable, std::move(bytes));
    std::string why;
    EXPECT_EQ(GoPclntab::FromMemory(std::move(image), section, UINT64_MAX, &why), nullptr);
    return why;
  };
  const auto with_magic = [&table](char low) { return std::string(1, low) + table.substr(1); };
  EXPECT_EQ(why_not("", 0), "its Go symbol table was not found");
  EXPECT_EQ(why_not(table.substr(0, 3), GoTableBuilder::kTable), "its Go symbol table is cut short");
  EXPECT_EQ(why_not(table.substr(0, 99), GoTableBuilder::kTable), "its Go symbol table is damaged");
  EXPECT_EQ(why_not(with_magic('\xfa'), GoTableBuilder::kTable),
            "it was built by a Go older than 1.18, whose symbol table is not read");
  EXPECT_EQ(why_not(with_magic('\xf2'), GoTableBuilder::kTable),
            "its Go symbol table has a format that this version does not know");
  const std::string go126 = SampleGoProgram(GoFormat::kGo126).Table(kSampleTextBytes);
  EXPECT_EQ(why_not(go126, GoTableBuilder::kTable), "the start of its Go code was not found");
}

TEST(GoPclntab, AFileThatGoDidNotLinkIsNoProblem) {
  std::string why;
  const auto self = ElfFile::Open("/proc/self/exe", &why);
  ASSERT_NE(self, nullptr) << why;
  EXPECT_EQ(GoPclntab::Open(*self, &why), nullptr);
  EXPECT_EQ(why, "");
}

}  // namespace
}  // namespace cgoprof
