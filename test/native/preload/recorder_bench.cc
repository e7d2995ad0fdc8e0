// What the recorder's parts cost alone: a look-up that misses, a stack from the cache, a rule compiled anew, a bucket
// found again. Whole-program figures are another matter; these tell which part to look at.
#include <benchmark/benchmark.h>

#include <memory>

#include "preload/live_set.h"
#include "preload/readable.h"
#include "preload/unwinder.h"
#include "test_segment.h"

namespace cgoprof {
namespace {

ForkWiped wiped;

struct Parts {
  Parts() {
    modules->Init(segment.writer());
    unwinder->Init(modules.get(), boundary.get(), /*dense=*/false);
    remembering->Init(modules.get(), boundary.get(), /*dense=*/true);
    buckets.Init(segment.writer());
    live.Init(segment.writer(), wiped.filter);
  }
  TestSegment segment;
  std::unique_ptr<ModuleTable> modules{new ModuleTable()};
  std::unique_ptr<GoBoundary> boundary{new GoBoundary()};
  std::unique_ptr<Unwinder> unwinder{new Unwinder()};
  std::unique_ptr<Unwinder> remembering{new Unwinder()};
  BucketTable buckets;
  LiveSet live;
};

Parts& parts() {
  static Parts* const instance = new Parts();
  return *instance;
}

__thread HomeStack home;

__attribute__((noinline)) void Walk(Unwinder* unwinder, Stack* stack) {
  const uintptr_t* frame = static_cast<const uintptr_t*>(__builtin_frame_address(0));
  unwinder->Walk({frame[1], reinterpret_cast<uintptr_t>(frame + 2), frame[0]}, &home, stack);
}

__attribute__((noinline)) void AtDepth(int depth, benchmark::State* state, Unwinder* unwinder, Stack* stack) {
  if (depth > 0) {
    AtDepth(depth - 1, state, unwinder, stack);
  } else {
    for (auto _ : *state) Walk(unwinder, stack);
  }
  benchmark::ClobberMemory();
}

void TimeWalk(benchmark::State* state, Unwinder* unwinder) {
  Stack stack;
  AtDepth(static_cast<int>(state->range(0)), state, unwinder, &stack);
  state->counters["frames"] = stack.depth;
  state->counters["per_frame"] =
      benchmark::Counter(static_cast<double>(stack.depth) * static_cast<double>(state->iterations()),
                         benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

void WarmWalk(benchmark::State& state) { TimeWalk(&state, parts().unwinder.get()); }
BENCHMARK(WarmWalk)->Arg(5)->Arg(25)->Arg(60);

void RememberedWalk(benchmark::State& state) { TimeWalk(&state, parts().remembering.get()); }
BENCHMARK(RememberedWalk)->Arg(5)->Arg(25)->Arg(60);

void CompileRuleCold(benchmark::State& state) {
  const uintptr_t pc = reinterpret_cast<uintptr_t>(&AtDepth) + 8;
  const LoadedModule* module = parts().modules->Find(pc);
  for (auto _ : state) benchmark::DoNotOptimize(CompileRule(module->cfi, pc, nullptr));
}
BENCHMARK(CompileRuleCold);

void CompileRuleColdWithRangeChecks(benchmark::State& state) {
  const uintptr_t pc = reinterpret_cast<uintptr_t>(&AtDepth) + 8;
  const LoadedModule* module = parts().modules->Find(pc);
  for (auto _ : state) benchmark::DoNotOptimize(CompileRule(module->cfi, pc, &IsRangeReadable));
}
BENCHMARK(CompileRuleColdWithRangeChecks);

void FreeOfAnUnsampledBlock(benchmark::State& state) {
  uintptr_t address = 0x7f0000000000;
  for (auto _ : state) {
    benchmark::DoNotOptimize(LiveSet::MayContain(wiped.filter, address));
    address += 64;
  }
}
BENCHMARK(FreeOfAnUnsampledBlock);

void FindKnownBucket(benchmark::State& state) {
  Stack stack = {};
  stack.depth = 25;
  for (uint32_t i = 0; i < stack.depth; i++) stack.frames[i] = MakeFrame(1, 0x400000 + i * 64);
  for (auto _ : state) benchmark::DoNotOptimize(parts().buckets.Find(stack, 101));
}
BENCHMARK(FindKnownBucket);

void InsertAndTake(benchmark::State& state) {
  LiveBlock block;
  for (auto _ : state) {
    parts().live.Insert(0x7f0000000040, {101, 0, 0});
    parts().live.Take(0x7f0000000040, &block);
  }
}
BENCHMARK(InsertAndTake);

void MapsRefresh(benchmark::State& state) {
  for (auto _ : state) {
    parts().modules->NoteUnload();
    parts().modules->RefreshIfStale();
  }
}
BENCHMARK(MapsRefresh);

}  // namespace
}  // namespace cgoprof

BENCHMARK_MAIN();
