// Every size has five functions that do the same, so that one run tells as much as five: which blocks are sampled at
// one of them says nothing about the others.
#include "sites.h"

#include <stdlib.h>

struct block {
  struct block* next;
};
static struct block* all;

static void keep(struct block* block) {
  if (!block) abort();
  block->next = all;
  all = block;
}

// noipa: or the compiler sees that the functions are the same, and makes one of them.
#define SITE(name)                                                      \
  static __attribute__((noipa)) void name(size_t size, size_t blocks) { \
    for (size_t i = 0; i < blocks; i++) keep(malloc(size));             \
  }
#define FIVE(name) SITE(name##_a) SITE(name##_b) SITE(name##_c) SITE(name##_d) SITE(name##_e)

FIVE(leak_8)
FIVE(leak_61)
FIVE(leak_509)
FIVE(leak_4093)
FIVE(leak_32749)
FIVE(leak_131071)
FIVE(leak_262139)
FIVE(leak_524309)
FIVE(leak_1048583)
FIVE(leak_2097169)
FIVE(leak_8388617)
FIVE(leak_mix)

enum { MOST_SIZES = 10 };
struct site {
  const char* function;
  void (*allocate)(size_t size, size_t blocks);
  struct {
    size_t size;
    size_t blocks;  // 0 ends the list
  } amounts[MOST_SIZES + 1];
};

#define ROW(name, ...) {#name, name, {__VA_ARGS__}},
#define ROWS(name, ...)      \
  ROW(name##_a, __VA_ARGS__) \
  ROW(name##_b, __VA_ARGS__) ROW(name##_c, __VA_ARGS__) ROW(name##_d, __VA_ARGS__) ROW(name##_e, __VA_ARGS__)
// Blocks so many that at the default rate about 7 to 250 of them are sampled, but for the biggest, of which none is
// ever missed. All sizes of the mix weigh about the same.
static const struct site sites[] = {
    ROWS(leak_8, {8, 524309})           //
    ROWS(leak_61, {61, 171877})         //
    ROWS(leak_509, {509, 30911})        //
    ROWS(leak_4093, {4093, 2557})       //
    ROWS(leak_32749, {32749, 113})      //
    ROWS(leak_131071, {131071, 53})     //
    ROWS(leak_262139, {262139, 31})     //
    ROWS(leak_524309, {524309, 127})    //
    ROWS(leak_1048583, {1048583, 127})  //
    ROWS(leak_2097169, {2097169, 251})  //
    ROWS(leak_8388617, {8388617, 13})   //
    ROWS(leak_mix, {8, 131071}, {61, 17183}, {509, 2053}, {4093, 257}, {32749, 31}, {131071, 7}, {262139, 5},
         {524309, 2}, {1048583, 1}, {8388617, 1})  //
};

int site_count(void) { return sizeof(sites) / sizeof(sites[0]); }

struct held held_by(int index) {
  const struct site* site = &sites[index];
  struct held held = {site->function, site->amounts[1].blocks ? 0 : site->amounts[0].size, 0, 0};
  for (int i = 0; site->amounts[i].blocks != 0; i++) {
    held.blocks += site->amounts[i].blocks;
    held.bytes += site->amounts[i].blocks * site->amounts[i].size;
  }
  return held;
}

static void allocate(const struct site* site) {
  for (int i = 0; site->amounts[i].blocks != 0; i++) site->allocate(site->amounts[i].size, site->amounts[i].blocks);
}

void allocate_all(void) {
  for (int i = 0; i < site_count(); i++) allocate(&sites[i]);
}

void free_all(void) {
  while (all) {
    struct block* next = all->next;
    free(all);
    all = next;
  }
}
