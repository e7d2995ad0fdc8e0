// A program in C with one thread, which is a canary: whoever uses a thread of it must use that one, at that wait.
//
//     alone KIND     as in canary.c
//
// Prints its pid and "ready". Between two rounds it does what the lines on its standard input say, each answered by
// "done":
//
//     leak           holds 101 blocks of 1009 bytes more
//     release        frees them all
//     account        prints "in use N": the bytes in use as the allocator counts them
//
// At the end of the input it prints "rounds N" and "interruptions N", and ends: with 0, or with 3 if something was
// wrong.
#include <malloc.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../canary.h"

static void* held[4096];
static size_t count;

static void leak(void) {
  for (int i = 0; i < 101; i++) {
    held[count++ % 4096] = malloc(1009);  // site: alone
  }
}

static void release(void) {
  while (count > 0) free(held[--count % 4096]);
}

static void account(void) {
  const struct mallinfo2 info = mallinfo2();
  dprintf(1, "in use %zu\n", info.uordblks + info.hblkhd);
}

// Returns 0 at the end of the input.
static int obey(void) {
  char line[64];
  const ssize_t bytes = read(0, line, sizeof(line) - 1);
  if (bytes <= 0) return 0;
  line[bytes] = '\0';
  if (strcmp(line, "leak\n") == 0) leak();
  if (strcmp(line, "release\n") == 0) release();
  if (strcmp(line, "account\n") == 0) account();
  dprintf(1, "done\n");
  return 1;
}

static enum canary_kind kind_of(const char* name) {
  for (int kind = 0; kind < CANARY_KINDS; kind++) {
    if (strcmp(canary_names[kind], name) == 0) return (enum canary_kind)kind;
  }
  exit(2);
}

int main(int argc, char** argv) {
  const enum canary_kind kind = kind_of(argc > 1 ? argv[1] : "");
  dprintf(1, "pid %d\nready\n", getpid());
  int goes_on = 1;
  while (goes_on && canary_watch(kind)) {
    struct pollfd input = {.fd = 0, .events = POLLIN};
    if (poll(&input, 1, 0) == 1) goes_on = obey();
  }
  dprintf(1, "rounds %llu\ninterruptions %llu\n", (unsigned long long)canary_rounds(kind),
          (unsigned long long)canary_interruptions(kind));
  return canary_fault()[0] == '\0' ? 0 : 3;
}
