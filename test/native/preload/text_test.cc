// The string helpers, at their limits.
#include "preload/text.h"

#include <gtest/gtest.h>

namespace cgoprof {
namespace {

TEST(TextBuilder, CutsOffAtTheEndAndSaysSo) {
  char buffer[6];
  TextBuilder fits(buffer, sizeof(buffer));
  EXPECT_TRUE(fits.Add("ab").Add(uint64_t{123}).ok());
  EXPECT_STREQ(buffer, "ab123");
  TextBuilder too_long(buffer, sizeof(buffer));
  EXPECT_FALSE(too_long.Add("abcdef").ok());
  EXPECT_STREQ(buffer, "abcde");
}

TEST(TextBuilder, WritesTheLargestNumber) {
  char buffer[32];
  TextBuilder(buffer, sizeof(buffer)).Add(~uint64_t{0});
  EXPECT_STREQ(buffer, "18446744073709551615");
}

TEST(ParseNumber, StopsAtTheFirstOtherCharacter) {
  uint64_t value = 0;
  const char* end = nullptr;
  EXPECT_TRUE(ParseNumber("7fabZ", 16, &value, &end));
  EXPECT_EQ(value, 0x7fabu);
  EXPECT_STREQ(end, "Z");
  EXPECT_FALSE(ParseNumber("x", 10, &value, &end));
  EXPECT_FALSE(ParseNumber("", 10, &value, &end));
}

TEST(ParseNumber, RefusesWhatDoesNotFit) {
  uint64_t value = 0;
  const char* end = nullptr;
  EXPECT_TRUE(ParseNumber("18446744073709551615", 10, &value, &end));
  EXPECT_EQ(value, ~uint64_t{0});
  EXPECT_FALSE(ParseNumber("18446744073709551616", 10, &value, &end));
  EXPECT_FALSE(ParseNumber("10000000000000000", 16, &value, &end));
}

TEST(BaseName, IsWhatFollowsTheLastSlash) {
  EXPECT_STREQ(BaseName("/usr/bin/server"), "server");
  EXPECT_STREQ(BaseName("server"), "server");
  EXPECT_STREQ(BaseName("/usr/"), "");
}

}  // namespace
}  // namespace cgoprof
