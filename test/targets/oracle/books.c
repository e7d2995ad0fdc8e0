// Threads that pick blocks and operations at random. Blocks lie in slots that all threads share, so most are freed by
// another thread than the one that allocated them; the books are each thread's own and are added up when it has ended.
#include "books.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "sites.h"

enum { THREADS = 4, SLOTS = 4099 };

struct slot {
  void* block;
  size_t size;
  int site;  // whose block it is
  atomic_flag taken;
};
static struct slot slots[SLOTS];

struct worker {
  pthread_t thread;
  uint64_t random;
  uint64_t operations;
  struct book books[SITES];
};
static struct worker workers[THREADS];

// xorshift64*
static uint64_t next(struct worker* worker) {
  uint64_t x = worker->random;
  x ^= x >> 12;
  x ^= x << 25;
  x ^= x >> 27;
  worker->random = x;
  return x * 0x2545f4914f6cdd1d >> 11;
}

// Every power of two is as likely as the next, up to 64 KiB; now and then 2 MiB, which malloc maps.
static size_t next_size(struct worker* worker) {
  uint64_t bits = next(worker) % 1024 == 0 ? 21 : next(worker) % 17;
  return next(worker) & ((1ul << bits) - 1);
}

static int fits(const struct site* site, enum effect effect, int has_block) {
  return site->effect == effect && (has_block || !site->needs_block);
}

static int next_site(struct worker* worker, int has_block) {
  static const enum effect with_block[8] = {RESIZES, RESIZES, RESIZES, RELEASES, RELEASES, RELEASES, RELEASES, REFUSES};
  uint64_t eighth = next(worker) % 8;
  enum effect effect = has_block ? with_block[eighth] : eighth ? MAKES : REFUSES;
  int site;
  do site = (int)(next(worker) % SITES);
  while (!fits(&sites[site], effect, has_block));
  return site;
}

static void book_alloc(struct worker* worker, const struct slot* slot) {
  if (slot->size == 0) return;
  worker->books[slot->site].allocs++;
  worker->books[slot->site].alloc_bytes += slot->size;
}

static void book_free(struct worker* worker, const struct slot* slot) {
  if (slot->size == 0) return;
  worker->books[slot->site].frees++;
  worker->books[slot->site].free_bytes += slot->size;
}

static void operate(struct worker* worker, struct slot* slot) {
  struct slot before = {.block = slot->block, .size = slot->size, .site = slot->site};
  int site = next_site(worker, before.block != NULL);
  size_t size = sites[site].act(&slot->block, next_size(worker));
  enum effect effect = sites[site].effect;
  if (effect == REFUSES) {
    if (slot->block != before.block) abort();
    return;
  }
  if ((slot->block == NULL) != (effect == RELEASES)) abort();
  if (effect != MAKES) book_free(worker, &before);
  slot->size = size;
  slot->site = site;
  if (effect != RELEASES) book_alloc(worker, slot);
}

static void* work(void* self) {
  struct worker* worker = self;
  while (worker->operations != 0) {
    struct slot* slot = &slots[next(worker) % SLOTS];
    if (atomic_flag_test_and_set_explicit(&slot->taken, memory_order_acquire)) continue;  // another thread is at it
    operate(worker, slot);
    atomic_flag_clear_explicit(&slot->taken, memory_order_release);
    worker->operations--;
  }
  return NULL;
}

void do_operations(uint64_t count) {
  for (uint64_t i = 0; i < THREADS; i++) {
    struct worker* worker = &workers[i];
    worker->operations = (count + i) / THREADS;
    if (worker->random == 0) worker->random = 0x9e3779b97f4a7c15 * (i + 1);
    if (pthread_create(&worker->thread, NULL, work, worker) != 0) abort();
  }
  for (int i = 0; i < THREADS; i++) pthread_join(workers[i].thread, NULL);
}

int site_count(void) { return SITES; }

const char* site_name(int site) { return sites[site].name; }

struct book book_of(int site) {
  struct book sum = {0, 0, 0, 0};
  for (int i = 0; i < THREADS; i++) {
    const struct book* book = &workers[i].books[site];
    sum.allocs += book->allocs;
    sum.alloc_bytes += book->alloc_bytes;
    sum.frees += book->frees;
    sum.free_bytes += book->free_bytes;
  }
  return sum;
}
