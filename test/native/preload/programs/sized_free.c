// Frees by C23's names, which libc has since glibc 2.43 only, so that they are looked up. An address that comes again
// was freed: a function that does nothing would never let it.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>
#include <stdlib.h>

#define ROUNDS 1009
#define KEPT 17

static void (*free_sized)(void* block, size_t size);
static void (*free_aligned_sized)(void* block, size_t alignment, size_t size);

static int look_up(void) {
  *(void**)&free_sized = dlsym(RTLD_DEFAULT, "free_sized");
  *(void**)&free_aligned_sized = dlsym(RTLD_DEFAULT, "free_aligned_sized");
  return free_sized != NULL && free_aligned_sized != NULL;
}

static void* make(void) { return malloc(2003); }
static void* make_aligned(void) { return aligned_alloc(64, 4001); }
static void release(void* block) { free_sized(block, 2003); }
static void release_aligned(void* block) { free_aligned_sized(block, 64, 4001); }

// Whether one of the blocks, each of which is freed before the next is made, lies where an earlier one did.
static int one_comes_again(void* (*make_one)(void), void (*release_one)(void*)) {
  static uintptr_t met[ROUNDS];
  int again = 0;
  for (int i = 0; i < ROUNDS; i++) {
    void* const block = make_one();
    met[i] = (uintptr_t)block;
    for (int earlier = 0; earlier < i; earlier++) again += met[earlier] == met[i];
    release_one(block);
  }
  return again > 0;
}

int main(void) {
  if (!look_up()) return 2;
  free_sized(NULL, 0);
  free_aligned_sized(NULL, 64, 0);
  if (!one_comes_again(make, release)) return 3;
  if (!one_comes_again(make_aligned, release_aligned)) return 4;
  for (int i = 0; i < KEPT; i++) {
    if (make() == NULL || make_aligned() == NULL) return 5;
  }
  return 0;
}
