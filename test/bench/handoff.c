// handoff BLOCKS: every block is allocated on one thread and freed on another, a batch at a time.
#include <pthread.h>
#include <semaphore.h>
#include <stdint.h>
#include <stdlib.h>

#include "random.h"
#include "result.h"

enum { kBatch = 1024, kBatches = 8 };

static void* batches[kBatches][kBatch];
static sem_t empty, full;  // batches

static void* FreeAll(void* argument) {
  const long count = *(const long*)argument;
  for (long i = 0; i < count; i++) {
    sem_wait(&full);
    for (int j = 0; j < kBatch; j++) free(batches[i % kBatches][j]);
    sem_post(&empty);
  }
  return NULL;
}

static void AllocateAll(long count) {
  uint64_t state = kSeed;
  for (long i = 0; i < count; i++) {
    sem_wait(&empty);
    for (int j = 0; j < kBatch; j++) batches[i % kBatches][j] = malloc(SizeFrom(NextRandom(&state)));
    sem_post(&full);
  }
}

int main(int argc, char** argv) {
  long count = argc > 1 ? atol(argv[1]) / kBatch : 0;
  if (count < 1) return 2;
  if (sem_init(&empty, 0, kBatches) != 0 || sem_init(&full, 0, 0) != 0) return 1;
  const struct Start start = StartClock();
  pthread_t other;
  if (pthread_create(&other, NULL, &FreeAll, &count) != 0) return 1;
  AllocateAll(count);
  pthread_join(other, NULL);
  PrintResult(start);
  return 0;
}
