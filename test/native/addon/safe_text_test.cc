// Text from a target cannot break JavaScript strings or a terminal.
#include "addon/safe_text.h"

#include <gtest/gtest.h>

#include <string_view>

namespace cgoprof {
namespace {

using std::string_view_literals::operator""sv;

TEST(SafeText, KeepsWellFormedText) {
  for (const std::string_view text : {""sv, "/usr/lib/libc.so.6"sv, "\u00E9"sv, "\u20AC"sv, "\uD7FF"sv, "\uE000"sv,
                                      "\U00010000"sv, "\U0010FFFF"sv, "a\u00A0b"sv}) {
    EXPECT_EQ(SafeText(text), text);
  }
}

TEST(SafeText, ReplacesEachByteThatIsNotPartOfACharacter) {
  EXPECT_EQ(SafeText("a\xFF"
                     "b"),
            "a\uFFFDb");
  EXPECT_EQ(SafeText("\x80"), "\uFFFD");                                // a continuation alone
  EXPECT_EQ(SafeText("\xC3"), "\uFFFD");                                // cut off
  EXPECT_EQ(SafeText("\xE2\x82"), "\uFFFD\uFFFD");                      // cut off
  EXPECT_EQ(SafeText("\xF0\x9F\x98"), "\uFFFD\uFFFD\uFFFD");            // cut off
  EXPECT_EQ(SafeText("\xC0\xAF"), "\uFFFD\uFFFD");                      // overlong '/'
  EXPECT_EQ(SafeText("\xE0\x80\xAF"), "\uFFFD\uFFFD\uFFFD");            // overlong '/'
  EXPECT_EQ(SafeText("\xF0\x80\x80\xAF"), "\uFFFD\uFFFD\uFFFD\uFFFD");  // overlong '/'
  EXPECT_EQ(SafeText("\xED\xA0\x80"), "\uFFFD\uFFFD\uFFFD");            // a surrogate
  EXPECT_EQ(SafeText("\xF4\x90\x80\x80"), "\uFFFD\uFFFD\uFFFD\uFFFD");  // beyond U+10FFFF
  EXPECT_EQ(SafeText("\xC3("), "\uFFFD(");
}

TEST(SafeText, ReplacesControlCharacters) {
  EXPECT_EQ(SafeText("a\0b"sv), "a\uFFFDb");
  EXPECT_EQ(SafeText("\x1b[2J\n\x7f"), "\uFFFD[2J\uFFFD\uFFFD");
  EXPECT_EQ(SafeText("\u0080\u009B"), "\uFFFD\uFFFD");
}

TEST(Hex, WritesTwoLowerCaseDigitsAByte) {
  EXPECT_EQ(Hex(""), "");
  EXPECT_EQ(Hex("\x00\x0f\xa0\xff"sv), "000fa0ff");
}

}  // namespace
}  // namespace cgoprof
