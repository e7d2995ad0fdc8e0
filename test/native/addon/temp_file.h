// A file with given content that is gone when the test is.
#ifndef CGOPROF_TEST_ADDON_TEMP_FILE_H_
#define CGOPROF_TEST_ADDON_TEMP_FILE_H_

#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <string>
#include <string_view>

namespace cgoprof {

class TempFile {
 public:
  explicit TempFile(std::string_view content) : path_(testing::TempDir() + "cgoprof-test-XXXXXX") {
    fd_ = mkstemp(path_.data());
    EXPECT_GE(fd_, 0);
    EXPECT_EQ(write(fd_, content.data(), content.size()), static_cast<ssize_t>(content.size()));
  }
  ~TempFile() {
    close(fd_);
    unlink(path_.c_str());
  }
  TempFile(const TempFile&) = delete;
  TempFile& operator=(const TempFile&) = delete;

  const char* path() const { return path_.c_str(); }
  int fd() const { return fd_; }

 private:
  std::string path_;
  int fd_;
};

}  // namespace cgoprof

#endif  // CGOPROF_TEST_ADDON_TEMP_FILE_H_
