// Which threads may be borrowed.
#include "addon/safe_point.h"

#include <gtest/gtest.h>
#include <linux/futex.h>
#include <sys/syscall.h>

namespace cgoprof {
namespace {

constexpr uint64_t kGoCode = 0x401000, kCCode = 0x501000, kLibcCode = 0x7f0000001000, kLibcData = 0x7f0000300000;
constexpr uint64_t kHeap = 0x7e0000010000, kStack = 0x7d0000000000;

RemoteMapping Mapped(uint64_t start, uint64_t bytes, const char* rights, const char* path = "") {
  RemoteMapping mapping;
  mapping.start = start;
  mapping.end = start + bytes;
  mapping.readable = rights[0] == 'r';
  mapping.writable = rights[1] == 'w';
  mapping.executable = rights[2] == 'x';
  mapping.path = path;
  return mapping;
}

SafePoints Points() {
  SafePoints points;
  points.mappings = {Mapped(0x400000, 0x100000, "r-x", "/server"), Mapped(0x500000, 0x100000, "r-x", "/server"),
                     Mapped(kHeap, 0x100000, "rw-"), Mapped(kLibcCode, 0x200000, "r-x", "/libc.so.6"),
                     Mapped(kLibcData, 0x10000, "rw-", "/libc.so.6")};
  points.is_go = [](uint64_t pc) { return pc >= 0x400000 && pc < 0x500000; };
  points.allocator_and_loader = {{kLibcCode, kLibcData + 0x10000}};
  return points;
}

ParkedCall Parked(int64_t number, uint64_t pc, uint64_t first = 0, uint64_t second = 0) {
  ParkedCall call;
  call.number = number;
  call.pc = pc;
  call.arguments[0] = first;
  call.arguments[1] = second;
  return call;
}

int Rank(const ParkedCall& call) { return RankSafePoint(Points(), call); }

TEST(SafePoint, GoThreadsThatWaitComeFirst) {
  const int idle = Rank(Parked(SYS_futex, kGoCode, kHeap, FUTEX_WAIT_PRIVATE));
  const int sleeping = Rank(Parked(SYS_nanosleep, kGoCode));
  const int polling = Rank(Parked(SYS_epoll_pwait, kGoCode));
  const int sleeping_in_c = Rank(Parked(SYS_clock_nanosleep, kLibcCode));
  const int reading_in_c = Rank(Parked(SYS_read, kLibcCode));
  EXPECT_GE(idle, 0);
  EXPECT_LT(idle, sleeping);
  EXPECT_LT(sleeping, polling);
  EXPECT_LT(polling, sleeping_in_c);
  EXPECT_LT(sleeping_in_c, reading_in_c);
}

TEST(SafePoint, ACallThatIsNoWaitIsNone) {
  EXPECT_EQ(Rank(Parked(SYS_write, kCCode)), -1);
  EXPECT_EQ(Rank(Parked(SYS_mmap, kGoCode)), -1);
  EXPECT_EQ(Rank(Parked(SYS_futex, kCCode, kHeap + 0x50000, FUTEX_WAKE)), -1);
}

TEST(SafePoint, CodeThatIsNoneIsNone) {
  EXPECT_EQ(Rank(Parked(SYS_nanosleep, kHeap)), -1);
  EXPECT_EQ(Rank(Parked(SYS_nanosleep, 0x10)), -1);
}

TEST(SafePoint, AThreadThatMayWaitForTheAllocatorIsNone) {
  const auto rank = [](uint64_t word) { return Rank(Parked(SYS_futex, kLibcCode, word, FUTEX_WAIT_PRIVATE)); };
  EXPECT_GE(rank(kHeap + 0x50000), 0);
  EXPECT_EQ(rank(kLibcData + 0x40), -1);       // main_arena
  EXPECT_EQ(rank(0x7e0000000000 + 0x30), -1);  // the arena at the start of a heap of 64 MiB
  // So is one whose wait was interrupted, and is being gone on with.
  EXPECT_EQ(Rank(Parked(SYS_restart_syscall, kLibcCode, kLibcData + 0x40)), -1);
  EXPECT_GE(Rank(Parked(SYS_restart_syscall, kLibcCode, kHeap + 0x50000)), 0);
  EXPECT_GE(Rank(Parked(SYS_restart_syscall, kLibcCode, 1 /* CLOCK_MONOTONIC */)), 0);
}

TEST(SafePoint, WhereAnotherAllocatorsLocksLieIsNotKnown) {
  SafePoints points = Points();
  points.libc_allocates = false;
  EXPECT_EQ(RankSafePoint(points, Parked(SYS_futex, kCCode, kHeap + 0x50000, FUTEX_WAIT_PRIVATE)), -1);
  EXPECT_GE(RankSafePoint(points, Parked(SYS_futex, kGoCode, kHeap + 0x50000, FUTEX_WAIT_PRIVATE)), 0);
  EXPECT_GE(RankSafePoint(points, Parked(SYS_poll, kCCode)), 0);
}

TEST(SystemStack, EndsInTheThreadsDescriptorOrIsTheMainThreads) {
  const std::vector<RemoteMapping> mappings = {Mapped(kStack, 0x20000, "rw-"), Mapped(kStack + 0x20000, 0x1000, "---"),
                                               Mapped(kStack + 0x21000, 0x20000, "rw-"),
                                               Mapped(0x7ffff0000000, 0x21000, "rw-", "[stack]")};
  const uint64_t descriptor = kStack + 0x1ff00;
  EXPECT_TRUE(IsOnSystemStack(mappings, kStack + 0x10000, descriptor, 0x10000));
  EXPECT_FALSE(IsOnSystemStack(mappings, kStack + 0x10000, descriptor, 0x10001));
  EXPECT_FALSE(IsOnSystemStack(mappings, kStack + 0x1ff80, descriptor, 0x100));  // above it
  EXPECT_FALSE(IsOnSystemStack(mappings, kStack + 0x31000, descriptor, 0x100));  // another stack
  EXPECT_FALSE(IsOnSystemStack(mappings, kStack + 0x20800, descriptor, 0x100));  // a guard page
  EXPECT_FALSE(IsOnSystemStack(mappings, 0x1000, descriptor, 0));
  EXPECT_TRUE(IsOnSystemStack(mappings, 0x7ffff0020000, descriptor, 0x1000));
}

}  // namespace
}  // namespace cgoprof
