// How a workload says what its loop took: one line of JSON on standard output, nanoseconds of the wall and of the
// process's own time. What happens before and after the loop is not in it.
#ifndef CGOPROF_BENCH_RESULT_H_
#define CGOPROF_BENCH_RESULT_H_

#include <stdint.h>
#include <stdio.h>
#include <time.h>

struct Start {
  int64_t wall, cpu;
};

static int64_t Nanoseconds(clockid_t clock) {
  struct timespec now;
  clock_gettime(clock, &now);
  return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static struct Start StartClock(void) {
  return (struct Start){Nanoseconds(CLOCK_MONOTONIC), Nanoseconds(CLOCK_PROCESS_CPUTIME_ID)};
}

static void PrintResult(struct Start start) {
  const long long wall = Nanoseconds(CLOCK_MONOTONIC) - start.wall;
  const long long cpu = Nanoseconds(CLOCK_PROCESS_CPUTIME_ID) - start.cpu;
  printf("{\"wall\": %lld, \"cpu\": %lld}\n", wall, cpu);
}

#endif  // CGOPROF_BENCH_RESULT_H_
