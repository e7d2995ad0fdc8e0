// A realloc that fails leaves its block live: it must stay in the books, and leave them when it is freed.
#include <stdint.h>
#include <stdlib.h>

int main(void) {
  volatile size_t huge = (size_t)PTRDIFF_MAX;
  void* volatile kept = malloc(3001);
  void* volatile freed = malloc(6007);
  for (int i = 0; i < 10; i++) {
    if (realloc(kept, huge) != NULL || realloc(freed, huge) != NULL) return 1;
  }
  free(freed);
  return kept == NULL;
}
