// Linkage names come out as people write them.
#include "addon/demangle.h"

#include <gtest/gtest.h>

#include <string>

namespace cgoprof {
namespace {

std::string Repeat(const std::string& text, int times) {
  std::string result;
  while (times-- > 0) result += text;
  return result;
}

TEST(Demangle, Cpp) {
  EXPECT_EQ(Demangle("_ZN2ns4growIiEEvT_"), "ns::grow<int>(int)");  // without the return type
  EXPECT_EQ(Demangle("_ZNSt6vectorIiSaIiEE9push_backEOi"), "std::vector<int, std::allocator<int> >::push_back(int&&)");
  EXPECT_EQ(Demangle("_ZN3foo3barEv.isra.0"), "foo::bar() [clone .isra.0]");
}

TEST(Demangle, Rust) {
  EXPECT_EQ(Demangle("_ZN4core3ptr13drop_in_place17h0123456789abcdefE"), "core::ptr::drop_in_place");
  EXPECT_EQ(Demangle("_RNvCskwGfYPst2Cb_7mycrate3foo"), "mycrate::foo");
}

TEST(Demangle, LeavesOtherNamesAlone) {
  for (const char* name : {"", "_", "_Z", "_R", "malloc", "Z3foov", "_ZN3foo", "main.(*T).grow"}) {
    EXPECT_EQ(Demangle(name), "") << name;
  }
}

TEST(Demangle, LongNames) {
  EXPECT_EQ(Demangle("_ZN" + Repeat("3abc", 400) + "E"), Repeat("abc::", 399) + "abc");
  EXPECT_EQ(Demangle("_ZN" + Repeat("3abc", 1100) + "E"), "");  // beyond what is tried
}

TEST(Demangle, DeeplyNestedNamesEnd) {
  for (const std::string& name :
       {"_Z1f" + std::string(4000, 'P') + "i", "_Z1f" + Repeat("PFv", 1300), "_RIC1a" + std::string(4000, 'R') + "uE",
        "_Z1fIX" + Repeat("ng", 2000) + "Li1EEEvv", "_Z1f" + Repeat("1aI", 1000) + "i" + std::string(1000, 'E')}) {
    EXPECT_LT(Demangle(name).size(), size_t{1} << 20);
  }
}

}  // namespace
}  // namespace cgoprof
