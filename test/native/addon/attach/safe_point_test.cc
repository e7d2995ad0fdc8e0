// Which threads may be borrowed.
#include "addon/safe_point.h"

#include <gtest/gtest.h>
#include <linux/futex.h>
#include <sys/syscall.h>

#include <utility>

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
  points.libc = {kLibcCode, kLibcData + 0x10000};
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
  points.other_allocators = {{0x7f0000400000, 0x7f0000410000}};
  EXPECT_EQ(RankSafePoint(points, Parked(SYS_futex, kCCode, kHeap + 0x50000, FUTEX_WAIT_PRIVATE)), -1);
  EXPECT_GE(RankSafePoint(points, Parked(SYS_futex, kGoCode, kHeap + 0x50000, FUTEX_WAIT_PRIVATE)), 0);
  EXPECT_GE(RankSafePoint(points, Parked(SYS_poll, kCCode)), 0);
}

TEST(SafePoint, AThreadThatWaitsOnItsOwnStackMayHaveEverybodyChangeTheirUser) {
  SafePoints points = Points();
  points.mappings.push_back(Mapped(kStack, 0x20000, "rw-"));
  ParkedCall call = Parked(SYS_futex, kLibcCode, kStack + 0x18000, FUTEX_WAIT_PRIVATE);
  call.sp = kStack + 0x17f00;
  EXPECT_EQ(RankSafePoint(points, call), -1);
  call.sp = kHeap;
  EXPECT_GE(RankSafePoint(points, call), 0);
  call.pc = kGoCode;
  call.sp = kStack + 0x17f00;
  EXPECT_GE(RankSafePoint(points, call), 0);
}

TEST(SafePoint, TheLoadersCodeAndAnotherAllocatorsAreNone) {
  SafePoints points = Points();
  points.mappings.push_back(Mapped(0x7f0000400000, 0x10000, "r-x", "/ld.so"));
  points.loader = {0x7f0000400000, 0x7f0000410000};
  EXPECT_EQ(RankSafePoint(points, Parked(SYS_read, 0x7f0000400100)), -1);
  std::swap(points.loader, points.other_allocators.emplace_back());
  EXPECT_EQ(RankSafePoint(points, Parked(SYS_read, 0x7f0000400100)), -1);
  EXPECT_GE(RankSafePoint(points, Parked(SYS_read, kLibcCode)), 0);
}

TEST(SafePoint, CallsWithASignalMaskOfTheirOwnAreNone) {
  const auto rank = [](int64_t number, int mask_at, uint64_t mask) {
    ParkedCall call = Parked(number, kLibcCode);
    call.arguments[mask_at] = mask;
    return Rank(call);
  };
  for (const auto& [number, mask_at] :
       {std::pair<int64_t, int>{SYS_epoll_pwait, 4}, {SYS_ppoll, 3}, {SYS_pselect6, 5}}) {
    EXPECT_GE(rank(number, mask_at, 0), 0) << number;
    EXPECT_EQ(rank(number, mask_at, kHeap), -1) << number;
  }
  EXPECT_EQ(Rank(Parked(SYS_rt_sigsuspend, kLibcCode, kHeap)), -1);
}

TEST(SafePoint, AWaitThatMayGrowComesLast) {
  ParkedCall limited = Parked(SYS_epoll_wait, kLibcCode), endless = limited;
  limited.arguments[3] = 1000;
  endless.arguments[3] = 0xffffffff;
  EXPECT_LT(Rank(endless), Rank(Parked(SYS_read, kLibcCode)));
  EXPECT_LT(Rank(Parked(SYS_read, kLibcCode)), Rank(limited));
  limited.number = endless.number = 441;  // epoll_pwait2
  limited.arguments[3] = kHeap;
  endless.arguments[3] = 0;
  EXPECT_LT(Rank(endless), Rank(limited));
}

TEST(SafePoint, OnlyGoBeginsAgainByItself) {
  EXPECT_FALSE(BeginsAgain(Points(), kGoCode));
  EXPECT_TRUE(BeginsAgain(Points(), kLibcCode));
}

TEST(SystemStack, EndsInTheThreadsDescriptorOrIsTheMainThreads) {
  std::vector<RemoteMapping> mappings = {
      Mapped(kStack - 0x1000, 0x1000, "---"), Mapped(kStack, 0x20000, "rw-"), Mapped(kStack + 0x20000, 0x1000, "---"),
      Mapped(kStack + 0x21000, 0x20000, "rw-"), Mapped(0x7ffff0000000, 0x21000, "rw-", "[stack]")};
  const uint64_t descriptor = kStack + 0x1ff00;
  const auto used = [&](uint64_t sp, uint64_t room) {
    const AddressRange range = UsedSystemStack(mappings, sp, descriptor, room);
    return range.end - range.start;
  };
  EXPECT_EQ(used(kStack + 0x10000, 0x10000), 0xff00u);
  EXPECT_EQ(used(kStack + 0x10000, 0x10001), 0u);
  EXPECT_EQ(used(kStack + 0x1ff80, 0x100), 0u);  // above it
  EXPECT_EQ(used(kStack + 0x31000, 0x100), 0u);  // another stack
  EXPECT_EQ(used(kStack + 0x20800, 0x100), 0u);  // a guard page
  EXPECT_EQ(used(0x1000, 0), 0u);
  EXPECT_EQ(used(0x7ffff0020000, 0x1000), 0x1000u);
  // Where the stack begins is not seen without a guard: little of it must be in use then.
  mappings.erase(mappings.begin());
  EXPECT_EQ(used(kStack + 0x10000, 0x10000), 0u);
  EXPECT_EQ(used(kStack + 0x1ff00 - 0x4000, 0x10000), 0x4000u);
  mappings[0].inode = 1;
  EXPECT_EQ(used(kStack + 0x1ff00 - 0x4000, 0x10000), 0u);
}

TEST(StackWords, OfASignalHandlerOrAnAllocatorSpeakAgainstIt) {
  constexpr uint64_t kRestorer = kLibcCode + 0x40;
  SafePoints points = Points();
  points.code = {{kLibcCode, kLibcCode + 0x1000}};
  points.is_restorer = [](uint64_t pc) { return pc == kRestorer || pc == kHeap; };
  points.other_allocators = {{0x7f0000400000, 0x7f0000410000}};
  std::vector<uint64_t> words(1000, kHeap);  // no code, whatever it looks like
  EXPECT_FALSE(SpeaksAgainst(points, words));
  words[999] = kRestorer;
  EXPECT_TRUE(SpeaksAgainst(points, words));
  words[999] = 0x7f0000400100;  // far above: long over, perhaps
  EXPECT_FALSE(SpeaksAgainst(points, words));
  words[127] = 0x7f0000400100;
  EXPECT_TRUE(SpeaksAgainst(points, words));
  EXPECT_FALSE(SpeaksAgainst(points, {}));
}

}  // namespace
}  // namespace cgoprof
