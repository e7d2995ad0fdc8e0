// Settings from the environment, and the environment after we left it.
#include "preload/environment.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "preload/sampler.h"

namespace cgoprof {
namespace {

// An environment vector as a process gets it: writable strings, NULL at the end.
class Environment {
 public:
  explicit Environment(std::vector<std::string> entries) : entries_(std::move(entries)) {
    for (std::string& entry : entries_) pointers_.push_back(entry.data());
    pointers_.push_back(nullptr);
  }
  char** get() { return pointers_.data(); }
  std::vector<std::string> Now() const {
    std::vector<std::string> now;
    for (char* const* p = pointers_.data(); *p != nullptr; p++) now.emplace_back(*p);
    return now;
  }

 private:
  std::vector<std::string> entries_;
  std::vector<char*> pointers_;
};

using Strings = std::vector<std::string>;

Strings After(Strings entries, Removal removal = Removal::kCompact) {
  Environment environment(std::move(entries));
  LeaveEnvironment(environment.get(), removal);
  return environment.Now();
}

TEST(LeaveEnvironment, RemovesOurVariablesAndKeepsTheRestInOrder) {
  EXPECT_EQ(After({"A=1", "CGOPROF_RATE=1", "LD_PRELOAD=/x/libcgoprof.so", "B=CGOPROF_", "CGOPROF_DIR=/d"}),
            (Strings{"A=1", "B=CGOPROF_"}));
}

TEST(LeaveEnvironment, KeepsTheUsersOwnPreloads) {
  EXPECT_EQ(After({"LD_PRELOAD=/x/libcgoprof.so:/y/libtcmalloc.so.4"}), (Strings{"LD_PRELOAD=/y/libtcmalloc.so.4"}));
  EXPECT_EQ(After({"LD_PRELOAD=/a.so /x/libcgoprof.so  /b.so"}), (Strings{"LD_PRELOAD=/a.so:/b.so"}));
  EXPECT_EQ(After({"LD_PRELOAD=libcgoprof.so"}), (Strings{}));
  EXPECT_EQ(After({"LD_PRELOAD=/x/notlibcgoprof.so"}), (Strings{"LD_PRELOAD=/x/notlibcgoprof.so"}));
  EXPECT_EQ(After({"LD_PRELOAD_X=libcgoprof.so"}), (Strings{"LD_PRELOAD_X=libcgoprof.so"}));
}

TEST(LeaveEnvironment, LeavesNothingBehindTheNewEnd) {
  Environment environment({"CGOPROF_RATE=1", "A=1", "CGOPROF_DIR=/d", "LD_PRELOAD=/x/libcgoprof.so"});
  LeaveEnvironment(environment.get(), Removal::kCompact);
  for (int i = 1; i <= 4; i++) EXPECT_EQ(environment.get()[i], nullptr) << i;
}

TEST(LeaveEnvironment, KeepsTheVectorsLengthForGo) {
  EXPECT_EQ(After({"A=1", "CGOPROF_RATE=1", "LD_PRELOAD=/x/libcgoprof.so", "CGOPROF_DIR=/d", "B=2"}, Removal::kBlank),
            (Strings{"A=1", "", "", "", "B=2"}));
  EXPECT_EQ(After({"LD_PRELOAD=/x/libcgoprof.so:/y.so", "A=1"}, Removal::kBlank), (Strings{"LD_PRELOAD=/y.so", "A=1"}));
}

TEST(ReadSettings, HasDefaults) {
  Environment environment({"PATH=/bin"});
  Settings settings;
  ASSERT_TRUE(ReadSettings(environment.get(), &settings));
  EXPECT_STREQ(settings.profile, "go");
  EXPECT_EQ(settings.rate, kDefaultSampleRate);
  EXPECT_EQ(settings.run_id, 0u);
  EXPECT_FALSE(settings.keep);
  EXPECT_FALSE(settings.follow);
  EXPECT_EQ(std::string(settings.directory), "/dev/shm/cgoprof-" + std::to_string(geteuid()));
}

TEST(ReadSettings, ReadsEveryVariable) {
  Environment environment({"CGOPROF_PROFILE=api", "CGOPROF_RATE=1", "CGOPROF_DIR=/run/x", "CGOPROF_RUN_ID=c0ffee",
                           "CGOPROF_KEEP=1", "CGOPROF_FOLLOW=1"});
  Settings settings;
  ASSERT_TRUE(ReadSettings(environment.get(), &settings));
  EXPECT_STREQ(settings.profile, "api");
  EXPECT_EQ(settings.rate, 1u);
  EXPECT_EQ(settings.run_id, 0xc0ffeeu);
  EXPECT_TRUE(settings.keep);
  EXPECT_TRUE(settings.follow);
  EXPECT_STREQ(settings.directory, "/run/x");
}

TEST(ReadSettings, IgnoresWhatMakesNoSense) {
  Environment environment({"CGOPROF_PROFILE=", "CGOPROF_RATE=12k", "CGOPROF_DIR=relative", "CGOPROF_RUN_ID=xyz"});
  Settings settings;
  ASSERT_TRUE(ReadSettings(environment.get(), &settings));
  EXPECT_STREQ(settings.profile, "go");
  EXPECT_EQ(settings.rate, kDefaultSampleRate);
  EXPECT_EQ(settings.run_id, 0u);
  EXPECT_EQ(settings.directory[0], '/');
  Environment zero({"CGOPROF_RATE=0"});
  ASSERT_TRUE(ReadSettings(zero.get(), &settings));
  EXPECT_EQ(settings.rate, kDefaultSampleRate);
}

TEST(ReadSettings, RefusesADirectoryThatDoesNotFit) {
  Environment environment({"CGOPROF_DIR=/" + std::string(kMaxPathBytes, 'd')});
  Settings settings;
  EXPECT_FALSE(ReadSettings(environment.get(), &settings));
}

}  // namespace
}  // namespace cgoprof
