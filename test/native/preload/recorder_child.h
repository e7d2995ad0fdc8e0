// Starts a recorder for a test: one exists per process and cannot be stopped, so each lives in a child of its own.
#ifndef CGOPROF_TEST_PRELOAD_RECORDER_CHILD_H_
#define CGOPROF_TEST_PRELOAD_RECORDER_CHILD_H_

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>

#include "preload/recorder.h"
#include "temp_dir.h"

// Runs `body` with the header of a segment of such a capacity, which the child records into. The child says itself
// which of its expectations failed; its exit status says whether one did.
inline int InRecordingChild(const cgoprof::SegmentCapacity& capacity,
                            const std::function<void(const cgoprof::Header&)>& body) {
  TempDir dir;
  const pid_t child = fork();
  if (child == 0) {
    if (!cgoprof::PrepareRecorder({dir.path().c_str(), 1, 0, capacity}, /*is_go=*/false)) _exit(2);
    cgoprof::BeginRecording();
    body(*cgoprof::RecorderHeader());
    _exit(testing::Test::HasFailure() ? 1 : 0);
  }
  int status = -1;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

// The records of a region, in the child.
template <typename T>
const T* RecordsOf(const cgoprof::Header& header, cgoprof::RegionId region) {
  return reinterpret_cast<const T*>(reinterpret_cast<const char*>(&header) + header.regions[region].offset);
}

#endif  // CGOPROF_TEST_PRELOAD_RECORDER_CHILD_H_
