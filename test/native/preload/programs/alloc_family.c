// Every function of the family once per size, leaked, so that each count and byte shows exactly.
#define _GNU_SOURCE
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

static void* volatile keep;

int main(void) {
  for (int i = 0; i < 3; i++) keep = malloc(1009);
  for (int i = 0; i < 5; i++) keep = calloc(13, 157);  // 2041
  keep = realloc(NULL, 4099);
  void* grown = malloc(17);
  for (size_t size = 8209; size < 40000; size = size * 2 + 1) grown = realloc(grown, size);  // 8209 16419 32839
  keep = grown;
  void* out;
  if (posix_memalign(&out, 256, 65537) != 0) return 1;
  keep = out;
  keep = aligned_alloc(64, 131101);
  keep = memalign(128, 262147);
  keep = valloc(524309);
  keep = pvalloc(1048583);
  keep = strdup("twelve bytes");  // 13
  free(malloc(2097169));
  free(NULL);
  return keep == NULL;
}
