// The edges of the family: prints what each call did. The test compares the output with and without the library.
#define _GNU_SOURCE
#include <errno.h>
#include <malloc.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char lines[8192];
static int used;

static void say(const char* what, int ok, int error) {
  used += snprintf(lines + used, sizeof(lines) - used, "%s: %d errno %d\n", what, ok, error);
}

#define TRY(what, expression)  \
  do {                         \
    errno = 0;                 \
    const int ok = expression; \
    say(what, ok, errno);      \
  } while (0)

int main(void) {
  void* volatile p = NULL;
  void* untouched = &used;
  volatile size_t huge = (size_t)PTRDIFF_MAX + 1, most = SIZE_MAX, half = SIZE_MAX / 2;
  TRY("malloc 0", (p = malloc(0)) != NULL);
  TRY("free of it", (free(p), 1));
  TRY("malloc huge", malloc(huge) == NULL);
  TRY("malloc most", malloc(most) == NULL);
  TRY("malloc half", malloc(half) == NULL);
  TRY("malloc after the huge ones", (p = malloc(11)) != NULL);
  TRY("calloc overflow", calloc(half, 3) == NULL);
  TRY("calloc 0 x 0", calloc(0, 0) != NULL);
  TRY("calloc is zero", ((char*)calloc(1, 1009))[1008] == 0);
  TRY("reallocarray overflow keeps", reallocarray(p, half, 3) == NULL && p != NULL);
  memset(p, 'x', 11);
  TRY("realloc huge keeps", realloc(p, huge) == NULL && ((char*)p)[10] == 'x');
  TRY("realloc 0 frees", realloc(p, 0) == NULL);
  TRY("realloc null", (p = realloc(NULL, 7)) != NULL);
  TRY("posix_memalign bad alignment", posix_memalign(&untouched, 3, 8) == EINVAL && untouched == &used);
  TRY("posix_memalign huge", posix_memalign(&untouched, 64, huge) == ENOMEM && untouched == &used);
  TRY("posix_memalign aligned", posix_memalign(&untouched, 4096, 1) == 0 && (uintptr_t)untouched % 4096 == 0);
  TRY("aligned_alloc aligned", (uintptr_t)aligned_alloc(512, 1024) % 512 == 0);
  TRY("aligned_alloc bad alignment", aligned_alloc(3, 8) == NULL);
  TRY("memalign aligned", (uintptr_t)memalign(64, 100) % 64 == 0);
  TRY("valloc aligned", (uintptr_t)valloc(1) % 4096 == 0);
  TRY("pvalloc aligned", (uintptr_t)pvalloc(1) % 4096 == 0);
  TRY("pvalloc most", pvalloc(most) == NULL);
  TRY("malloc_usable_size", malloc_usable_size(malloc(24)) == 24);
  errno = 77;
  free(p);
  say("errno after free", errno == 77, errno);
  errno = 77;
  p = malloc(100);
  say("errno after malloc", errno == 77, errno);
  errno = 77;
  p = realloc(p, 100000);
  say("errno after realloc", errno == 77, errno);
  free(p);
  fputs(lines, stdout);
  return 0;
}
