// A private directory in shared memory that is gone after the test.
#ifndef CGOPROF_TEST_PRELOAD_TEMP_DIR_H_
#define CGOPROF_TEST_PRELOAD_TEMP_DIR_H_

#include <stdlib.h>

#include <filesystem>
#include <string>
#include <vector>

class TempDir {
 public:
  TempDir() {
    char pattern[] = "/dev/shm/cgoprof-test-XXXXXX";
    path_ = mkdtemp(pattern);
  }
  ~TempDir() { std::filesystem::remove_all(path_); }
  const std::string& path() const { return path_; }
  std::vector<std::string> Files() const {
    std::vector<std::string> files;
    for (const auto& entry : std::filesystem::directory_iterator(path_)) files.push_back(entry.path().string());
    return files;
  }

 private:
  std::string path_;
};

#endif  // CGOPROF_TEST_PRELOAD_TEMP_DIR_H_
