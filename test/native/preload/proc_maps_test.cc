// Lines of /proc/self/maps, and reading the real one through buffers of any size.
#include "preload/proc_maps.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

namespace cgoprof {
namespace {

TEST(ParseMapsLine, ReadsEveryField) {
  char line[] = "7f7de7f25000-7f7de8106f50 r-xp 00026000 fe:01 1234567                  /usr/lib/x 86/libc.so.6";
  Mapping mapping;
  ASSERT_TRUE(ParseMapsLine(line, &mapping));
  EXPECT_EQ(mapping.start, 0x7f7de7f25000u);
  EXPECT_EQ(mapping.end, 0x7f7de8106f50u);
  EXPECT_EQ(mapping.offset, 0x26000u);
  EXPECT_EQ(mapping.inode, 1234567u);
  EXPECT_TRUE(mapping.readable);
  EXPECT_FALSE(mapping.writable);
  EXPECT_TRUE(mapping.executable);
  EXPECT_STREQ(mapping.path, "/usr/lib/x 86/libc.so.6");
}

TEST(ParseMapsLine, ReadsLinesWithoutAPath) {
  char line[] = "c000000000-c000400000 rw-p 00000000 00:00 0 ";
  Mapping mapping;
  ASSERT_TRUE(ParseMapsLine(line, &mapping));
  EXPECT_TRUE(mapping.writable);
  EXPECT_FALSE(mapping.executable);
  EXPECT_STREQ(mapping.path, "");
}

TEST(ParseMapsLine, StripsDeleted) {
  char line[] = "1000-2000 r--p 00000000 00:01 7 /tmp/server (deleted)";
  Mapping mapping;
  ASSERT_TRUE(ParseMapsLine(line, &mapping));
  EXPECT_STREQ(mapping.path, "/tmp/server");
}

TEST(ParseMapsLine, RefusesGarbageAndTruncation) {
  const std::string good = "1000-2000 r-xp 00001000 fe:01 77 /x";
  // Everything up to the inode is needed.
  for (size_t length = 0; length < good.find("77"); length++) {
    std::string cut = good.substr(0, length);
    Mapping mapping;
    EXPECT_FALSE(ParseMapsLine(cut.data(), &mapping)) << cut;
  }
}

void Collect(const Mapping& mapping, void* out) {
  static_cast<std::vector<std::string>*>(out)->push_back(mapping.path);
}

std::vector<std::string> Paths(size_t buffer_bytes) {
  std::vector<char> buffer(buffer_bytes);
  std::vector<std::string> paths;
  paths.reserve(4096);
  EXPECT_TRUE(ForEachMapping(buffer.data(), buffer.size(), &Collect, &paths));
  return paths;
}

TEST(ForEachMapping, FindsThisProgramAndTheVdso) {
  const std::vector<std::string> paths = Paths(8192);
  const std::set<std::string> unique(paths.begin(), paths.end());
  EXPECT_TRUE(unique.count("[stack]"));
  EXPECT_TRUE(unique.count("[vdso]"));
  bool self = false;
  for (const std::string& path : unique) self |= path.find("preload_parts_test") != std::string::npos;
  EXPECT_TRUE(self);
}

TEST(ForEachMapping, ALineLongerThanTheBufferIsSkippedAndTheRestStillRead) {
  const std::vector<std::string> all = Paths(8192);
  // "[stack]" lines are about 80 bytes long, those of libraries longer.
  const std::vector<std::string> some = Paths(88);
  EXPECT_LT(some.size(), all.size());
  EXPECT_EQ(std::count(some.begin(), some.end(), "[stack]"), 1);
}

}  // namespace
}  // namespace cgoprof
