// Threads grow, shrink and free blocks that other threads made, while the allocator hands their addresses on. Prints
// how many blocks of each size there were; none is left.
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define THREADS 4
#define ROUNDS 60000
#define SLOTS 67

static const size_t sizes[] = {101, 499, 2003, 8009, 40009, 150001};
#define SIZES (sizeof(sizes) / sizeof(*sizes))

static void* slots[SLOTS];
static unsigned made[SIZES];

static uint32_t next_random(uint32_t* state) {
  *state ^= *state << 13;
  *state ^= *state >> 17;
  *state ^= *state << 5;
  return *state;
}

static void* work(void* seed) {
  uint32_t random = (uint32_t)(uintptr_t)seed;
  for (int i = 0; i < ROUNDS; i++) {
    void** slot = &slots[next_random(&random) % SLOTS];
    void* block = __atomic_exchange_n(slot, NULL, __ATOMIC_ACQ_REL);
    if (next_random(&random) % 4 == 0) {
      free(block);
      continue;
    }
    const size_t size = next_random(&random) % SIZES;
    block = realloc(block, sizes[size]);
    if (block == NULL) abort();
    __atomic_fetch_add(&made[size], 1, __ATOMIC_RELAXED);
    free(__atomic_exchange_n(slot, block, __ATOMIC_ACQ_REL));
  }
  return NULL;
}

int main(void) {
  pthread_t threads[THREADS];
  for (uintptr_t i = 0; i < THREADS; i++) pthread_create(&threads[i], NULL, work, (void*)(i + 1));
  for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
  for (int i = 0; i < SLOTS; i++) free(slots[i]);
  for (size_t i = 0; i < SIZES; i++) printf("%zu %u\n", sizes[i], made[i]);
  return 0;
}
