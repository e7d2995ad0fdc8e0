#include "fragments.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

enum { kBlocks = 1 << 16, kSize = 1009, kKeptOneIn = 64 };

static void* blocks[kBlocks];

void fragment(void) {
  for (int i = 0; i < kBlocks; i++) {
    blocks[i] = malloc(kSize);
    memset(blocks[i], 1, kSize);
  }
  for (int i = 0; i < kBlocks; i++) {
    if (i % kKeptOneIn != 0) free(blocks[i]);
  }
}

size_t unused(void) { return mallinfo2().fordblks; }
