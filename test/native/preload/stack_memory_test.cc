// Loads that cannot fault: on the thread's own stack, on one cut out of the heap, and beyond the end of either.
#include "preload/stack_memory.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <thread>

#include "preload/readable.h"

namespace cgoprof {
namespace {

uintptr_t FrameAddress() { return reinterpret_cast<uintptr_t>(__builtin_frame_address(0)); }

void ExpectWalksToItsEnd() {
  HomeStack home = {};
  const uintptr_t sp = FrameAddress();
  StackMemory memory(sp, &home);
  ASSERT_NE(home.low, 0u);
  EXPECT_LE(home.low, sp);
  EXPECT_GT(home.end, sp);
  uintptr_t value, sum = 0;
  for (uintptr_t address = sp; address + 8 <= home.end; address += 8) {
    ASSERT_TRUE(memory.Load(address, &value));
    sum += value;
  }
  EXPECT_FALSE(memory.Load(sp - 65536, &value)) << "below the window nothing is read";
  EXPECT_FALSE(memory.Load(sp + 1, &value)) << "unaligned";
  EXPECT_NE(sum, 1u);
}

TEST(StackMemory, ReadsTheMainThreadsStack) { ExpectWalksToItsEnd(); }

#ifndef __SANITIZE_THREAD__  // which puts more thread-local storage above a stack than is probed
TEST(StackMemory, ReadsAnotherThreadsStack) { std::thread(&ExpectWalksToItsEnd).join(); }
#endif

TEST(StackMemory, WhatIsKnownIsKeptAndGrowsDown) {
  HomeStack home = {};
  const uintptr_t sp = FrameAddress();
  StackMemory first(sp, &home);
  const HomeStack before = home;
  StackMemory deeper(sp - 3 * kProbePage, &home);
  EXPECT_EQ(home.end, before.end);
  EXPECT_EQ(home.low, before.low - 3 * kProbePage);
  EXPECT_EQ(home.attempts, 1);
}

// A stack of one page between two that cannot be read.
class GuardedPage {
 public:
  GuardedPage() {
    base_ = mmap(nullptr, 3 * kProbePage, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    start_ = reinterpret_cast<uintptr_t>(base_) + kProbePage;
    mprotect(reinterpret_cast<void*>(start_), kProbePage, PROT_READ | PROT_WRITE);
  }
  ~GuardedPage() { munmap(base_, 3 * kProbePage); }
  uintptr_t start() const { return start_; }
  uintptr_t end() const { return start_ + kProbePage; }

 private:
  void* base_;
  uintptr_t start_;
};

// A stack below the thread's own, which something unreadable parts from it.
TEST(StackMemory, AnotherStackBelowIsNotTakenForTheThreadsOwn) {
  const GuardedPage one, other;
  const GuardedPage& above = one.start() > other.start() ? one : other;
  const GuardedPage& below = one.start() > other.start() ? other : one;
  for (const uintptr_t low : {above.start(), uintptr_t{0}}) {
    HomeStack home = {above.end(), low, 0};
    const StackMemory memory(below.start() + 64, &home);
    EXPECT_EQ(memory.window().start, below.start());
    EXPECT_EQ(memory.window().last, below.end() - 8);
    EXPECT_EQ(home.low, low);
  }
}

// Between the two changes that make a thread's stack known: a signal handler on another stack may come there.
TEST(StackMemory, WithTheEndAloneKnownNothingIsTakenForReadable) {
  GuardedPage page;
  HomeStack home = {~uintptr_t{0} & ~uintptr_t{7}, 0, 0};
  const StackMemory memory(page.start() + 64, &home);
  EXPECT_EQ(memory.window().last, page.end() - 8);
}

// Walks on coroutines first must not use up the tries.
TEST(StackMemory, OtherStacksAreNoTries) {
  GuardedPage page;
  HomeStack home = {};
  for (int i = 0; i < 101; i++) StackMemory(page.start() + 64, &home);
  StackMemory own(FrameAddress(), &home);
  EXPECT_NE(home.low, 0u);
}

TEST(StackMemory, StopsAtTheGuardPageOfAForeignStack) {
  GuardedPage page;
  HomeStack home = kNoHome;
  StackMemory memory(page.start() + 64, &home);
  uintptr_t value;
  EXPECT_TRUE(memory.Load(page.start() + 64, &value));
  EXPECT_TRUE(memory.Load(page.end() - 8, &value));
  EXPECT_FALSE(memory.Load(page.end(), &value));
  EXPECT_FALSE(memory.Load(page.end() - 4, &value));
  EXPECT_FALSE(memory.Load(page.end() + (16 << 20), &value));
  EXPECT_FALSE(memory.Load(~uintptr_t{7}, &value));
}

TEST(StackMemory, ASpAtTheVeryEndOfAStackIsRead) {
  GuardedPage page;
  HomeStack home = kNoHome;
  StackMemory memory(page.end(), &home);
  uintptr_t value;
  EXPECT_TRUE(memory.Load(page.end() - 8, &value));
  EXPECT_FALSE(memory.Load(page.end(), &value));
}

TEST(IsReadable, TellsMappedFromUnmapped) {
  GuardedPage page;
  EXPECT_TRUE(IsReadable(page.start()));
  EXPECT_FALSE(IsReadable(page.end()));
  EXPECT_FALSE(IsReadable(0));
  EXPECT_TRUE(IsRangeReadable(page.start(), page.end()));
  EXPECT_FALSE(IsRangeReadable(page.start(), page.end() + 1));
  EXPECT_FALSE(IsRangeReadable(page.end(), page.start()));
  errno = 77;
  IsReadable(0);
  EXPECT_EQ(errno, 77);
}

}  // namespace
}  // namespace cgoprof
