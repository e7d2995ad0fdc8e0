// The edges of the family, function by function, on the main thread and on another: prints what each call did and what
// it left in errno. The test compares the output with and without the library. An argument leaves pvalloc out: under an
// allocator that has none it is libc's, whose blocks that allocator cannot free.
#define _GNU_SOURCE
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// What errno holds before each call: a call that succeeds must leave it.
#define ERRNO_BEFORE 77

static int has_pvalloc;
static char lines[32768];
static size_t used;

static void say(const char* what, long result, int error) {
  used += (size_t)snprintf(lines + used, sizeof(lines) - used, "%s: %ld errno %d\n", what, result, error);
}

#define TRY(what, expression)       \
  do {                              \
    errno = ERRNO_BEFORE;           \
    const long result = expression; \
    say(what, result, errno);       \
  } while (0)

// Volatile, so that the compiler neither refuses the sizes nor leaves calls out.
static const volatile size_t most = SIZE_MAX, half = SIZE_MAX / 2, largest = PTRDIFF_MAX,
                             too_large = (size_t)PTRDIFF_MAX + 1;
static const size_t sizes[] = {0, 1, 7, 24, 25, 1009, 4096, 131071, 131073, 4194319};
#define SIZES (sizeof(sizes) / sizeof(*sizes))

static int aligned(const void* block, size_t alignment) { return block != NULL && (uintptr_t)block % alignment == 0; }

static int all_bytes_are(const char* block, char value, size_t size) {
  for (size_t i = 0; i < size; i++) {
    if (block[i] != value) return 0;
  }
  return 1;
}

static void try_malloc(void) {
  void* volatile p;
  void* volatile q;
  for (size_t i = 0; i < SIZES; i++) {
    TRY("malloc", aligned(p = malloc(sizes[i]), 16));
    TRY("its usable size", (long)malloc_usable_size(p));
    memset(p, 'x', sizes[i]);
    TRY("free", (free(p), 1));
  }
  p = malloc(0);
  TRY("another malloc of 0", (q = malloc(0)) != NULL && q != p);
  free(p);
  free(q);
  TRY("malloc of PTRDIFF_MAX", (p = malloc(largest)) == NULL);
  TRY("malloc of one more", (p = malloc(too_large)) == NULL);
  TRY("malloc of SIZE_MAX", (p = malloc(most)) == NULL);
  TRY("malloc after those", (p = malloc(11)) != NULL);
  free(p);
  TRY("free of NULL", (free(NULL), 1));
  TRY("usable size of NULL", (long)malloc_usable_size(NULL));
}

// Leaves blocks full of other bytes for calloc to find.
static void soil(size_t size) {
  void* volatile blocks[9];
  for (int i = 0; i < 9; i++) {
    blocks[i] = malloc(size);
    memset(blocks[i], 'x', size);
  }
  for (int i = 0; i < 9; i++) free(blocks[i]);
}

static void try_calloc(void) {
  char* volatile p;
  for (size_t i = 0; i < SIZES; i++) {
    soil(sizes[i]);
    TRY("calloc is zero", (p = calloc(1, sizes[i])) != NULL && all_bytes_are(p, 0, sizes[i]));
    free(p);
    TRY("calloc, byte by byte", (p = calloc(sizes[i], 1)) != NULL && all_bytes_are(p, 0, sizes[i]));
    free(p);
  }
  TRY("calloc of 0 blocks", (p = calloc(0, 8)) != NULL);
  free(p);
  TRY("calloc of 0 times SIZE_MAX", (p = calloc(0, most)) != NULL);
  free(p);
  TRY("calloc that overflows to more", (p = calloc(half, 3)) == NULL);
  TRY("calloc that overflows to 0", (p = calloc(half + 1, 2)) == NULL);
  TRY("calloc that overflows to little", (p = calloc(half + 9, 2)) == NULL);
  TRY("calloc of PTRDIFF_MAX", (p = calloc(1, largest)) == NULL);
  TRY("calloc of more", (p = calloc(too_large, 1)) == NULL);
}

static void try_realloc(void) {
  char* volatile p = NULL;
  for (size_t i = 1; i < SIZES; i++) {
    TRY("realloc to more", (p = realloc(p, sizes[i])) != NULL && all_bytes_are(p, 'x', i == 1 ? 0 : sizes[i - 1]));
    memset(p, 'x', sizes[i]);
  }
  for (size_t i = SIZES - 1; i > 0; i--) {
    TRY("realloc to less", (p = realloc(p, sizes[i])) != NULL && all_bytes_are(p, 'x', sizes[i]));
  }
  TRY("realloc to PTRDIFF_MAX", realloc(p, largest) == NULL && p[0] == 'x');
  TRY("realloc to more than that", realloc(p, too_large) == NULL && p[0] == 'x');
  TRY("realloc to SIZE_MAX", realloc(p, most) == NULL && p[0] == 'x');
  TRY("reallocarray that overflows", reallocarray(p, half, 3) == NULL && p[0] == 'x');
  TRY("reallocarray that overflows to 0", reallocarray(p, half + 1, 2) == NULL && p[0] == 'x');
  TRY("reallocarray", (p = reallocarray(p, 13, 157)) != NULL && p[0] == 'x');
  TRY("realloc to 0", realloc(p, 0) == NULL);
  TRY("realloc of NULL", (p = realloc(NULL, 7)) != NULL);
  TRY("reallocarray to 0", reallocarray(p, 0, 8) == NULL);
  TRY("realloc of NULL to 0", (p = realloc(NULL, 0)) != NULL);
  free(p);
  TRY("reallocarray of NULL", (p = reallocarray(NULL, 3, 5)) != NULL);
  free(p);
  TRY("realloc of NULL to SIZE_MAX", (p = realloc(NULL, most)) == NULL);
}

static void try_posix_memalign(void) {
  void* const untouched = &used;
  void* p = untouched;
  for (size_t alignment = 1; alignment <= 1 << 20; alignment *= 2) {
    const int is_valid = alignment >= sizeof(void*);
    p = untouched;
    TRY("posix_memalign", posix_memalign(&p, alignment, 1009));
    say("aligned or left alone", is_valid ? aligned(p, alignment) : p == untouched, 0);
    if (p != untouched) free(p);
  }
  p = untouched;
  TRY("posix_memalign to 0", posix_memalign(&p, 0, 8));
  TRY("posix_memalign to 3", posix_memalign(&p, 3, 8));
  TRY("posix_memalign to 24", posix_memalign(&p, 24, 8));
  TRY("posix_memalign of PTRDIFF_MAX", posix_memalign(&p, 64, largest));
  TRY("posix_memalign of more", posix_memalign(&p, 64, too_large));
  TRY("posix_memalign of SIZE_MAX", posix_memalign(&p, 64, most));
  TRY("posix_memalign of SIZE_MAX to 8", posix_memalign(&p, 8, most));
  TRY("posix_memalign to half of all addresses", posix_memalign(&p, half + 1, 8));
  say("left alone by all of those", p == untouched, 0);
  TRY("posix_memalign of 0", posix_memalign(&p, 64, 0) == 0 && p != untouched);
  free(p);
}

static void try_aligned_alloc(void) {
  char* volatile p;
  for (size_t alignment = 1; alignment <= 1 << 20; alignment *= 2) {
    TRY("aligned_alloc", aligned(p = aligned_alloc(alignment, 1009), alignment));
    free(p);
    TRY("memalign", aligned(p = memalign(alignment, 1009), alignment));
    memset(p, 'x', 1009);
    TRY("realloc of it", (p = realloc(p, 2017)) != NULL && all_bytes_are(p, 'x', 1009));
    free(p);
  }
  static const size_t odd[] = {0, 3, 24, 4095};
  for (size_t i = 0; i < sizeof(odd) / sizeof(*odd); i++) {
    TRY("aligned_alloc to no power of two", (p = aligned_alloc(odd[i], 64)) != NULL);
    free(p);
    TRY("memalign to no power of two", (p = memalign(odd[i], 64)) != NULL);
    free(p);
  }
  TRY("aligned_alloc of 0", (p = aligned_alloc(64, 0)) != NULL);
  free(p);
  TRY("memalign of 0", (p = memalign(64, 0)) != NULL);
  free(p);
  TRY("aligned_alloc of more than PTRDIFF_MAX", (p = aligned_alloc(64, too_large)) == NULL);
  TRY("memalign of more than PTRDIFF_MAX", (p = memalign(64, too_large)) == NULL);
  TRY("memalign of SIZE_MAX", (p = memalign(64, most)) == NULL);
  TRY("memalign to half of all addresses", (p = memalign(half + 1, 8)) == NULL);
  TRY("memalign to more", (p = memalign(half + 2, 8)) == NULL);
}

static void try_valloc(void) {
  char* volatile p;
  for (size_t i = 0; i < SIZES; i++) {
    TRY("valloc", aligned(p = valloc(sizes[i]), 4096));
    free(p);
  }
  TRY("valloc of PTRDIFF_MAX", (p = valloc(largest)) == NULL);
  TRY("valloc of SIZE_MAX", (p = valloc(most)) == NULL);
}

static void try_pvalloc(void) {
  char* volatile p;
  for (size_t i = 0; i < SIZES; i++) {
    TRY("pvalloc", aligned(p = pvalloc(sizes[i]), 4096));
    TRY("whole pages of it", malloc_usable_size(p) >= ((sizes[i] + 4095) & ~(size_t)4095));
    free(p);
  }
  TRY("pvalloc of PTRDIFF_MAX", (p = pvalloc(largest)) == NULL);
  TRY("pvalloc of SIZE_MAX", (p = pvalloc(most)) == NULL);
}

static void* try_all(void* unused) {
  try_malloc();
  try_calloc();
  try_realloc();
  try_posix_memalign();
  try_aligned_alloc();
  try_valloc();
  if (has_pvalloc) try_pvalloc();
  return unused;
}

int main(int argc, char** argv) {
  pthread_t thread;
  (void)argv;
  has_pvalloc = argc < 2;
  free(malloc(1));  // an allocator may look at files for its first block, whoever asks, and leave that in errno
  try_all(NULL);
  if (pthread_create(&thread, NULL, try_all, NULL) != 0 || pthread_join(thread, NULL) != 0) return 2;
  fputs(lines, stdout);
  return used >= sizeof(lines);
}
