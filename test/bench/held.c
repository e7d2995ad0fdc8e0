// held MIB: MIB mebibytes live in blocks of 64 bytes, each touched. Prints the resident memory of the process then, in
// KiB, without what it shares with others by a tmpfs: the segment lies there, and whoever runs this counts it whole.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { kBlockBytes = 64, kLineBytes = 256 };

struct Block {
  struct Block* next;
  char rest[kBlockBytes - sizeof(struct Block*)];
};

static struct Block* Push(struct Block* list) {
  struct Block* block = malloc(sizeof *block);
  if (block == NULL) abort();
  block->next = list;
  return block;
}

// A line of /proc/self/status, in KiB.
static long StatusKib(const char* name) {
  FILE* status = fopen("/proc/self/status", "r");
  if (status == NULL) abort();
  char line[kLineBytes];
  long kib = -1;
  while (kib < 0 && fgets(line, sizeof line, status) != NULL) {
    if (strncmp(line, name, strlen(name)) == 0) kib = atol(line + strlen(name));
  }
  fclose(status);
  return kib;
}

int main(int argc, char** argv) {
  const long blocks = argc > 1 ? atol(argv[1]) * (1 << 20) / kBlockBytes : 0;
  if (blocks < 1) return 2;
  struct Block* volatile list = NULL;
  for (long i = 0; i < blocks; i++) list = Push(list);
  printf("{\"kib\": %ld}\n", StatusKib("VmRSS:") - StatusKib("RssShmem:"));
  return 0;
}
