// A wish changes its four bytes of a segment and nothing else, and nothing at all of what is no such segment.
#include "addon/segment_wish.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <iterator>
#include <string>

#include "addon/segment_reader.h"
#include "segment_builder.h"
#include "temp_file.h"

namespace cgoprof {
namespace {

std::string Content(const char* path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::string WithWish(SegmentBuilder builder, uint32_t wish) {
  builder.header.wish = wish;
  return builder.Build();
}

TEST(SegmentWish, ChangesTheWishAndNothingElse) {
  SegmentBuilder builder;
  builder.header.last_sample_unix_ns = ~uint64_t{0};
  builder.header.attachments = ~uint32_t{0};
  const TempFile file(WithWish(builder, kWishRecord));
  EXPECT_EQ(SetSegmentWish(file.path(), kWishPause).code, "");
  EXPECT_EQ(Content(file.path()), WithWish(builder, kWishPause));
  EXPECT_EQ(ReadSegmentHeader(file.path()).header.wish, kWishPause);
  EXPECT_EQ(SetSegmentWish(file.path(), kWishRecord).code, "");
  EXPECT_EQ(Content(file.path()), WithWish(builder, kWishRecord));
}

struct Refusal {
  const char* name;
  void (*damage)(SegmentBuilder* builder, std::string* file);
  const char* code;
};

const Refusal kRefusals[] = {
    {"Empty", [](SegmentBuilder*, std::string* f) { f->clear(); }, "NOT_A_SEGMENT"},
    {"Garbage", [](SegmentBuilder*, std::string* f) { f->assign(9973, '\xA5'); }, "NOT_A_SEGMENT"},
    {"HalfAHeader", [](SegmentBuilder* b, std::string* f) { *f = b->Build().substr(0, 101); }, "NOT_A_SEGMENT"},
    {"OtherMajor", [](SegmentBuilder* b, std::string*) { b->header.abi_major = 3; }, "SEGMENT_VERSION"},
    {"WithoutWishes", [](SegmentBuilder* b, std::string*) { b->header.abi_minor = 0; }, "SEGMENT_VERSION"},
    {"Starting", [](SegmentBuilder* b, std::string*) { b->header.state = kStateStarting; }, "SEGMENT_STARTING"},
    {"ShortHeader", [](SegmentBuilder* b, std::string*) { b->header.header_bytes = offsetof(Header, wish) + 3; },
     "SEGMENT_DAMAGED"},
};

class SegmentWishRefusal : public testing::TestWithParam<Refusal> {};

TEST_P(SegmentWishRefusal, ChangesNothing) {
  SegmentBuilder builder;
  std::string content = "unset";
  GetParam().damage(&builder, &content);
  if (content == "unset") content = builder.Build();
  const TempFile file(content);
  const NativeError error = SetSegmentWish(file.path(), kWishPause);
  EXPECT_EQ(error.code, GetParam().code) << error.message;
  EXPECT_EQ(Content(file.path()), content);
}
INSTANTIATE_TEST_SUITE_P(Files, SegmentWishRefusal, testing::ValuesIn(kRefusals),
                         [](const auto& info) { return std::string(info.param.name); });

TEST(SegmentWish, TellsWhyAFileCannotBeWritten) {
  EXPECT_EQ(SetSegmentWish("/nonexistent/1-1.seg", kWishPause).code, "ENOENT");
  EXPECT_EQ(SetSegmentWish("/dev/null", kWishPause).message, "not a regular file");
  const TempFile file(SegmentBuilder().Build());
  const std::string link = std::string(file.path()) + "-link";
  ASSERT_EQ(symlink(file.path(), link.c_str()), 0);
  EXPECT_EQ(SetSegmentWish(link.c_str(), kWishPause).code, "EIO") << "somebody else's file may be behind a link";
  unlink(link.c_str());
  EXPECT_EQ(ReadSegmentHeader(file.path()).header.wish, kWishRecord);
}

}  // namespace
}  // namespace cgoprof
