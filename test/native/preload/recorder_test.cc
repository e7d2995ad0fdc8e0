// The recorder without its hooks: when a recording is skipped, and when one is not.
#include "preload/recorder.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>

#include "temp_dir.h"

namespace cgoprof {
namespace {

// One recorder exists per process and cannot be stopped, so each test runs in a child and reports by its exit status.
int InChild(const std::function<bool(const Header&)>& body) {
  TempDir dir;
  const pid_t child = fork();
  if (child == 0) {
    const bool started = StartRecorder({dir.path().c_str(), 1, 0, CapacityFor(524288)}, /*is_go=*/false);
    _exit(started && body(*RecorderHeader()) ? 0 : 1);
  }
  int status = -1;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

__attribute__((noinline)) void Record(uintptr_t address) {
  RecordAlloc(reinterpret_cast<void*>(address), 101, CGOPROF_HOOK_FRAME());
}

TEST(Recorder, RecordsWhatIsAllocatedAndFreed) {
  EXPECT_EQ(0, InChild([](const Header& header) {
              Record(0x10000);
              Record(0x20000);
              LiveBlock taken;
              const bool found = TakeBlock(reinterpret_cast<void*>(0x10000), &taken) && taken.size == 101;
              return found && header.counters[kSamples] == 2 && header.counters[kDroppedReentrant] == 0;
            }));
}

TEST(Recorder, SkipsAnAllocationInsideARecording) {
  EXPECT_EQ(0, InChild([](const Header& header) {
              const uintptr_t here = reinterpret_cast<uintptr_t>(__builtin_frame_address(0));
              thread_state.recording_frame = here;  // further up than Record's frame: still under way
              Record(0x10000);
              return header.counters[kSamples] == 0 && header.counters[kDroppedReentrant] == 1 &&
                     thread_state.recording_frame == here;
            }));
}

TEST(Recorder, IsNotStoppedForGoodByAHandlerThatJumpedOut) {
  EXPECT_EQ(0, InChild([](const Header& header) {
              thread_state.recording_frame = reinterpret_cast<uintptr_t>(__builtin_frame_address(0)) - 4096;
              Record(0x10000);
              return header.counters[kSamples] == 1 && thread_state.recording_frame == 0;
            }));
}

TEST(Recorder, CountsABlockWhoseFreeWentPastIt) {
  EXPECT_EQ(0, InChild([](const Header& header) {
              Record(0x10000);
              Record(0x10000);
              return header.counters[kMissedFrees] == 1 && header.counters[kSamples] == 2;
            }));
}

TEST(Recorder, APutBackBlockIsFoundAgain) {
  EXPECT_EQ(0, InChild([](const Header&) {
              Record(0x10000);
              LiveBlock taken, again;
              void* const block = reinterpret_cast<void*>(0x10000);
              if (!TakeBlock(block, &taken) || TakeBlock(block, &again)) return false;
              PutBlockBack(block, taken);
              return TakeBlock(block, &again) && again.size == taken.size && again.bucket == taken.bucket;
            }));
}

}  // namespace
}  // namespace cgoprof
