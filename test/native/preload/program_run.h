// Runs a program under the library (CGOPROF_LIBRARY), from the folder of the test programs (CGOPROF_PROGRAMS), and
// reads the segment that it leaves.
#ifndef CGOPROF_TEST_PRELOAD_PROGRAM_RUN_H_
#define CGOPROF_TEST_PRELOAD_PROGRAM_RUN_H_

#include <fcntl.h>
#include <gtest/gtest.h>
#include <spawn.h>
#include <sys/wait.h>

#include <fstream>
#include <ostream>
#include <sstream>
#include <string>
#include <vector>

#include "addon/segment_reader.h"
#include "temp_dir.h"

namespace cgoprof {

struct Totals {
  uint64_t allocs = 0, frees = 0;
  bool operator==(const Totals& other) const { return allocs == other.allocs && frees == other.frees; }
};
inline std::ostream& operator<<(std::ostream& out, const Totals& t) { return out << t.allocs << " - " << t.frees; }

class ProgramRun {
 public:
  // Runs a program under the library (or bare), all that it says in a file.
  explicit ProgramRun(std::vector<std::string> command, std::vector<std::string> extra = {}, bool preload = true) {
    command[0] = std::string(CGOPROF_PROGRAMS "/") + command[0];
    std::vector<std::string> environment = {"CGOPROF_DIR=" + dir_.path(), "CGOPROF_PROFILE=all", "CGOPROF_RATE=1",
                                            "CGOPROF_KEEP=1", "PATH=/usr/bin:/bin"};
    if (preload) environment.push_back("LD_PRELOAD=" CGOPROF_LIBRARY);
    environment.insert(environment.begin(), extra.begin(), extra.end());  // the first of a name counts
    output_path_ = dir_.path() + "/output";
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 1, output_path_.c_str(), O_CREAT | O_WRONLY | O_TRUNC, 0600);
    posix_spawn_file_actions_adddup2(&actions, 1, 2);
    pid_t pid = 0;
    const int error = posix_spawn(&pid, command[0].c_str(), &actions, nullptr, Pointers(&command).data(),
                                  Pointers(&environment).data());
    posix_spawn_file_actions_destroy(&actions);
    EXPECT_EQ(error, 0) << command[0];
    EXPECT_EQ(waitpid(pid, &status_, 0), pid);
  }

  bool Succeeded() const { return WIFEXITED(status_) && WEXITSTATUS(status_) == 0; }
  int status() const { return status_; }
  std::string Output() const {
    std::ifstream file(output_path_);
    std::stringstream text;
    text << file.rdbuf();
    return text.str();
  }
  std::vector<std::string> SegmentFiles() const {
    std::vector<std::string> segments;
    for (const std::string& file : dir_.Files()) {
      if (file.size() > 4 && file.compare(file.size() - 4, 4, ".seg") == 0) segments.push_back(file);
    }
    return segments;
  }
  // The one segment the run must have left.
  Segment Read() const {
    const std::vector<std::string> files = SegmentFiles();
    EXPECT_EQ(files.size(), 1u);
    if (files.empty()) return {};
    SegmentReadResult result = ReadSegment(files[0].c_str());
    EXPECT_TRUE(result.error.code.empty()) << result.error.message;
    return result.segment;
  }

 private:
  static std::vector<char*> Pointers(std::vector<std::string>* strings) {
    std::vector<char*> pointers;
    for (std::string& s : *strings) pointers.push_back(s.data());
    pointers.push_back(nullptr);
    return pointers;
  }
  TempDir dir_;
  std::string output_path_;
  int status_ = -1;
};

// Sums buckets whose blocks are all of the given size.
inline Totals OfSize(const Segment& segment, uint64_t size) {
  Totals totals;
  for (const SegmentBucket& bucket : segment.buckets) {
    if (bucket.alloc_bytes != bucket.allocs * size) continue;
    totals.allocs += bucket.allocs;
    totals.frees += bucket.frees;
    EXPECT_EQ(bucket.free_bytes, bucket.frees * size);
  }
  return totals;
}

inline void ExpectNothingLost(const Segment& segment) {
  for (CounterId counter : {kDroppedBuckets, kDroppedLive, kMissedFrees, kLostModules, kGoBoundaryFailed}) {
    EXPECT_EQ(segment.header.counters[counter], 0u) << "counter " << counter;
  }
  for (const SegmentBucket& bucket : segment.buckets) EXPECT_FALSE(bucket.torn);
}

}  // namespace cgoprof

#endif  // CGOPROF_TEST_PRELOAD_PROGRAM_RUN_H_
