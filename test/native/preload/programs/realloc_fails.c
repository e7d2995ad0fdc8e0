// A realloc that fails leaves its block live: it must stay in the books, and leave them when it is freed. It fails for
// a size that cannot be, and for one that there is no memory for.
#include <stdint.h>
#include <stdlib.h>
#include <sys/resource.h>

static void* volatile kept;
static void* volatile freed;

static int both_fail(size_t size) {
  for (int i = 0; i < 10; i++) {
    if (realloc(kept, size) != NULL || realloc(freed, size) != NULL) return 0;
  }
  return 1;
}

int main(void) {
  volatile size_t huge = (size_t)PTRDIFF_MAX;
  const struct rlimit no_more = {4096, 4096};
  kept = malloc(3001);
  freed = malloc(6007);
  if (!both_fail(huge)) return 1;
  if (setrlimit(RLIMIT_AS, &no_more) != 0 || !both_fail(64 << 20)) return 2;
  free(freed);
  return kept == NULL;
}
