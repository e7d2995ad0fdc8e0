// Every range around an address is found, the nearest start first.
#include "addon/range_index.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace cgoprof {
namespace {

std::vector<std::string> AllAround(const RangeIndex<std::string>& index, uint64_t address) {
  std::vector<std::string> found;
  EXPECT_FALSE(index.Find(address, [&found](const std::string& value) {
    found.push_back(value);
    return false;
  }));
  return found;
}

TEST(RangeIndex, NestedAndEqualRanges) {
  RangeIndex<std::string> index;
  index.Add(20, 30, "inner");
  index.Add(10, 50, "outer");
  index.Add(60, 70, "apart");
  index.Add(20, 30, "alias");
  index.Add(40, 40, "empty");
  index.Seal();
  EXPECT_EQ(AllAround(index, 29), (std::vector<std::string>{"alias", "inner", "outer"}));
  EXPECT_EQ(AllAround(index, 30), (std::vector<std::string>{"outer"}));
  EXPECT_EQ(AllAround(index, 40), (std::vector<std::string>{"outer"}));
  EXPECT_EQ(AllAround(index, 60), (std::vector<std::string>{"apart"}));
  EXPECT_TRUE(AllAround(index, 9).empty());
  EXPECT_TRUE(AllAround(index, 50).empty());
  EXPECT_TRUE(AllAround(index, UINT64_MAX).empty());
}

TEST(RangeIndex, StopsAtTheOneThatIsTaken) {
  RangeIndex<int> index;
  index.Add(0, 9, 1);
  index.Add(2, 9, 2);
  index.Seal();
  int visits = 0;
  EXPECT_TRUE(index.Find(5, [&visits](int) { return ++visits > 0; }));
  EXPECT_EQ(visits, 1);
}

TEST(RangeIndex, MadeUpOverlapsAreNotAllVisited) {
  RangeIndex<int> index;
  constexpr int kRanges = 1009;
  for (int i = 0; i < kRanges; ++i) index.Add(i, 2 * kRanges, i);
  index.Seal();
  int visits = 0;
  index.Find(kRanges, [&visits](int) { return ++visits < 0; });
  EXPECT_GT(visits, 1);
  EXPECT_LT(visits, 100);
}

}  // namespace
}  // namespace cgoprof
