// Walks through this program's own frames, with libgcc's unwinder as the oracle.
#include "preload/unwinder.h"

#include <execinfo.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

#include <memory>
#include <thread>
#include <vector>

#include "test_segment.h"

namespace cgoprof {
namespace {

// With and without the memory of the thread's last walk.
class UnwinderTest : public testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    ASSERT_TRUE(segment_.created());
    modules_->Init(segment_.writer());
    unwinder_->Init(modules_.get(), boundary_.get(), /*dense=*/GetParam());
  }
  TestSegment segment_;
  std::unique_ptr<ModuleTable> modules_ = std::make_unique<ModuleTable>();
  std::unique_ptr<GoBoundary> boundary_{new GoBoundary()};
  std::unique_ptr<Unwinder> unwinder_{new Unwinder()};
};

struct Both {
  Stack ours = {};
  uint32_t libgcc_depth = 0;
  uintptr_t libgcc[kMaxStackDepth];  // no vector: it is filled in a signal handler too
};

Unwinder* current;
__thread HomeStack home;

// What a hook's slow path does: a walk that starts at its caller.
__attribute__((noinline)) void Capture(Both* both) {
  const uintptr_t* frame = static_cast<const uintptr_t*>(__builtin_frame_address(0));
  current->Walk({frame[1], reinterpret_cast<uintptr_t>(frame + 2), frame[0]}, &home, &both->ours);
  void* addresses[kMaxStackDepth];
  const int count = backtrace(addresses, kMaxStackDepth);
  // Above this function's own frame (and a sanitizer's, which stands in front of backtrace).
  int first = 0;
  while (first < count && reinterpret_cast<uintptr_t>(addresses[first]) != frame[1]) first++;
  both->libgcc_depth = static_cast<uint32_t>(count - first);
  for (int i = first; i < count; i++) both->libgcc[i - first] = reinterpret_cast<uintptr_t>(addresses[i]);
}

void ExpectSame(const Both& both) {
  EXPECT_EQ(both.ours.flags, 0);
  ASSERT_EQ(both.ours.depth, both.libgcc_depth);
  for (uint32_t i = 0; i < both.ours.depth; i++) {
    EXPECT_EQ(FramePc(both.ours.frames[i]), both.libgcc[i]) << "frame " << i;
    EXPECT_NE(FrameModule(both.ours.frames[i]), 0u) << "frame " << i;
  }
}

#define NOINLINE __attribute__((noinline, optimize("O2", "omit-frame-pointer")))

NOINLINE int Recurse(int depth, Both* both) {
  volatile char room[64];
  room[depth % 64] = 1;
  if (depth == 0) {
    Capture(both);
    return room[0];
  }
  return Recurse(depth - 1, both) + room[depth % 64];
}

TEST_P(UnwinderTest, AgreesWithLibgccWithoutFramePointers) {
  current = unwinder_.get();
  Both both;
  Recurse(40, &both);
  ExpectSame(both);
  EXPECT_GT(both.ours.depth, 40u);
}

TEST_P(UnwinderTest, AgreesFromTheCacheToo) {
  current = unwinder_.get();
  for (int round = 0; round < 3; round++) {
    Both both;
    Recurse(17, &both);
    ExpectSame(both);
  }
}

// Stacks that are alike in all ways: the same, or deeper, or another from somewhere in the middle on, with frames of
// several kinds and sizes.
struct Wanderer {
  uint32_t random;
  int captures;
  uint32_t Next(uint32_t n) {
    random = random * 1664525 + 1013904223;
    return (random >> 16) % n;
  }
};

NOINLINE int Wander(int depth, Wanderer* wanderer);

NOINLINE int Small(int depth, Wanderer* wanderer) { return Wander(depth - 1, wanderer) + 1; }

NOINLINE int Large(int depth, Wanderer* wanderer) {
  volatile char room[509];
  room[depth] = 1;
  return Wander(depth - 1, wanderer) + room[depth];
}

__attribute__((noinline, optimize("no-omit-frame-pointer"))) int WithFramePointer(int depth, Wanderer* wanderer) {
  volatile char room[48];
  room[0] = 1;
  return Wander(depth - 1, wanderer) + room[0];
}

NOINLINE int Variable(int depth, Wanderer* wanderer) {
  volatile char* room = static_cast<volatile char*>(__builtin_alloca(16 + wanderer->Next(3) * 32));
  room[0] = 1;
  return Wander(depth - 1, wanderer) + room[0];
}

NOINLINE int Wander(int depth, Wanderer* wanderer) {
  int sum = 0;
  do {
    Both both;
    Capture(&both);
    ExpectSame(both);
    wanderer->captures++;
    if (depth == 0) return sum;
    switch (wanderer->Next(4)) {
      case 0:
        sum += Small(depth, wanderer);
        break;
      case 1:
        sum += Large(depth, wanderer);
        break;
      case 2:
        sum += WithFramePointer(depth, wanderer);
        break;
      default:
        sum += Variable(depth, wanderer);
    }
  } while (wanderer->Next(3) == 0);
  return sum;
}

TEST_P(UnwinderTest, AgreesWhateverTheLastStackWas) {
  current = unwinder_.get();
  std::vector<std::thread> threads;
  for (uint32_t seed = 1; seed <= 4; seed++) {
    threads.emplace_back([seed] {
      Wanderer wanderer = {seed, 0};
      while (wanderer.captures < 3000 && !testing::Test::HasFailure()) Wander(12, &wanderer);
    });
  }
  for (std::thread& thread : threads) thread.join();
}

NOINLINE int WithAlloca(int size, Both* both) {
  volatile char* room = static_cast<volatile char*>(__builtin_alloca(static_cast<size_t>(size)));
  room[size - 1] = 1;
  Recurse(3, both);
  return room[size - 1];
}

TEST_P(UnwinderTest, AgreesThroughVariableFrames) {
  current = unwinder_.get();
  Both both;
  WithAlloca(1009, &both);
  ExpectSame(both);
}

// A function that realigns its stack and takes arguments on it: GCC addresses its frame through a saved CFA.
NOINLINE int Realigned(int a, int b, int c, int d, int e, int f, int g, Both* both) {
  alignas(64) volatile char room[128];
  volatile char* more = static_cast<volatile char*>(__builtin_alloca(static_cast<size_t>(g)));
  room[g % 128] = 1;
  more[0] = 1;
  Recurse(2, both);
  return a + b + c + d + e + f + room[g % 128] + more[0];
}

TEST_P(UnwinderTest, AgreesThroughRealignedStacks) {
  current = unwinder_.get();
  Both both;
  Realigned(1, 2, 3, 4, 5, 6, 77, &both);
  ExpectSame(both);
}

int CompareAndCapture(const void* a, const void* b, void* both) {
  Both* out = static_cast<Both*>(both);
  if (out->libgcc_depth == 0) Recurse(1, out);
  return *static_cast<const int*>(a) - *static_cast<const int*>(b);
}

TEST_P(UnwinderTest, AgreesThroughLibc) {
  current = unwinder_.get();
  Both both;
  int values[] = {5, 3, 1};
  qsort_r(values, 3, sizeof(int), &CompareAndCapture, &both);
  ExpectSame(both);
}

TEST_P(UnwinderTest, EndsAtTheThreadsStart) {
  current = unwinder_.get();
  Both both;
  std::thread([&both] { Recurse(5, &both); }).join();
  ExpectSame(both);
}

Both* in_handler;
void Handler(int) { Recurse(2, in_handler); }

NOINLINE void RaiseHere() {
  raise(SIGUSR1);
  __asm__ volatile("");
}

TEST_P(UnwinderTest, AgreesThroughASignalHandler) {
  current = unwinder_.get();
  Both both;
  void* first[1];
  backtrace(first, 1);  // loads libgcc, which allocates: not something to do in a handler
  in_handler = &both;
  struct sigaction action = {}, old = {};
  action.sa_handler = &Handler;
  ASSERT_EQ(sigaction(SIGUSR1, &action, &old), 0);
  RaiseHere();
  sigaction(SIGUSR1, &old, nullptr);
  in_handler = nullptr;
  EXPECT_EQ(both.ours.flags, 0);
  ASSERT_EQ(both.ours.depth, both.libgcc_depth);
  int differing = 0;
  for (uint32_t i = 0; i < both.ours.depth; i++) differing += FramePc(both.ours.frames[i]) != both.libgcc[i];
  // The interrupted frame: libgcc gives the instruction, we the instruction + 1, see unwinder.cc.
  EXPECT_EQ(differing, 1);
}

TEST_P(UnwinderTest, CutsVeryDeepStacksAtTheRoot) {
  current = unwinder_.get();
  Both both;
  Recurse(500, &both);
  EXPECT_EQ(both.ours.depth, kMaxStackDepth);
  EXPECT_EQ(both.ours.flags, kStackTruncated);
  for (uint32_t i = 0; i < both.libgcc_depth; i++) EXPECT_EQ(FramePc(both.ours.frames[i]), both.libgcc[i]) << i;
}

// From one to the next all frames may be taken over, but for those of which there is no room.
TEST_P(UnwinderTest, CutsDeepStacksInWhateverOrderTheyCome) {
  current = unwinder_.get();
  Both both;
  Recurse(1, &both);
  const int above = static_cast<int>(both.ours.depth) - 1;  // frames but for those of Recurse(0)
  const int most = static_cast<int>(kMaxStackDepth) - above;
  for (const int depth : {300, 307, most, most - 1, most + 1, most, 300, most - 1, most + 1, 307, most - 1}) {
    Recurse(depth, &both);
    ASSERT_EQ(both.ours.depth, std::min(kMaxStackDepth, static_cast<uint32_t>(depth + above))) << depth;
    EXPECT_EQ(both.ours.flags, depth > most ? kStackTruncated : 0) << depth;
    for (uint32_t i = 0; i < std::min(both.ours.depth, both.libgcc_depth); i++) {
      ASSERT_EQ(FramePc(both.ours.frames[i]), both.libgcc[i]) << "frame " << i << " of " << depth;
    }
  }
}

ucontext_t main_context, coroutine_context;
void Coroutine() {
  Recurse(7, in_handler);
  swapcontext(&coroutine_context, &main_context);
}

TEST_P(UnwinderTest, WalksACoroutineAndStopsAtItsEnd) {
  current = unwinder_.get();
  constexpr size_t kBytes = 64 << 10, kGuard = 4096;
  char* area = static_cast<char*>(mmap(nullptr, kBytes + 2 * kGuard, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  mprotect(area + kGuard, kBytes, PROT_READ | PROT_WRITE);
  Both both;
  in_handler = &both;
  getcontext(&coroutine_context);
  coroutine_context.uc_stack.ss_sp = area + kGuard;
  coroutine_context.uc_stack.ss_size = kBytes;
  coroutine_context.uc_link = nullptr;
  makecontext(&coroutine_context, &Coroutine, 0);
  swapcontext(&main_context, &coroutine_context);
  munmap(area, kBytes + 2 * kGuard);
  in_handler = nullptr;
  ASSERT_GE(both.ours.depth, 9u);
  for (uint32_t i = 0; i < 9; i++) EXPECT_EQ(FramePc(both.ours.frames[i]), both.libgcc[i]) << i;
}

TEST_P(UnwinderTest, GarbageRegistersEndTheWalk) {
  Stack stack;
  HomeStack none = kNoHome;
  const uintptr_t here = reinterpret_cast<uintptr_t>(__builtin_frame_address(0));
  const uintptr_t inside = reinterpret_cast<uintptr_t>(&Handler) + 4;
  for (uintptr_t fp : {uintptr_t{0}, ~uintptr_t{0}, here + 1, here - (1 << 30), uintptr_t{0x1234567890}}) {
    for (uintptr_t pc : {uintptr_t{0}, uintptr_t{1}, inside, ~uintptr_t{0}}) {
      unwinder_->Walk({pc, here, fp}, &none, &stack);
      EXPECT_GE(stack.depth, 1u);
    }
  }
}

// A frame that is found by FP, from the cache, where FP is anything.
TEST_P(UnwinderTest, AFramePointerThatLeadsNowhereEndsTheWalk) {
  current = unwinder_.get();
  Both both;
  WithAlloca(211, &both);
  const uintptr_t in_with_alloca = FramePc(both.ours.frames[4]);  // above Recurse, three times
  const uintptr_t here = reinterpret_cast<uintptr_t>(__builtin_frame_address(0));
  HomeStack own = {};
  StackMemory(here, &own);
  ASSERT_NE(own.low, 0u);
  Stack stack;
  const auto walk = [&](uintptr_t fp) {
    unwinder_->Walk({in_with_alloca, here, fp}, &own, &stack);
    EXPECT_EQ(stack.flags, kStackTruncated);
    return stack.depth;
  };
  // Not upwards, or not aligned.
  for (const uintptr_t fp : {here - 16, here - 24, here - 32, here - 4096, here + 1, here + 20, uintptr_t{0},
                             ~uintptr_t{0}, ~uintptr_t{15}}) {
    EXPECT_EQ(walk(fp), 1u);
    EXPECT_EQ(walk(fp), 1u);
  }
  // What lies above a stack may be readable too, but is none.
  for (const uintptr_t fp : {own.end, own.end - 8, own.end - 16}) EXPECT_LE(walk(fp), 2u);
}

TEST_P(UnwinderTest, CodeWithoutUnwindTablesIsFlagged) {
  // A function in memory of our own: ret.
  uint8_t* code = static_cast<uint8_t*>(
      mmap(nullptr, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  code[0] = 0xc3;
  Stack stack;
  HomeStack none = {};
  const uintptr_t here = reinterpret_cast<uintptr_t>(__builtin_frame_address(0));
  unwinder_->Walk({reinterpret_cast<uintptr_t>(code) + 1, here, here}, &none, &stack);
  EXPECT_EQ(stack.depth, 1u);
  EXPECT_EQ(stack.frames[0], MakeFrame(0, reinterpret_cast<uintptr_t>(code) + 1));
  EXPECT_EQ(stack.flags, kStackTruncated);
  munmap(code, 4096);
}

INSTANTIATE_TEST_SUITE_P(Memory, UnwinderTest, testing::Bool(),
                         [](const auto& info) { return info.param ? "Dense" : "Sparse"; });

}  // namespace
}  // namespace cgoprof
