#include "fragment_cache.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { BUCKETS = 4096 };

struct fragment {
  struct fragment* next;
  unsigned long key;
  char* html;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct fragment* cache[BUCKETS];
static unsigned long last_revision;

unsigned long fragment_cache_next_revision(void) { return __atomic_add_fetch(&last_revision, 1, __ATOMIC_RELAXED); }

static unsigned long hash(unsigned long revision, const char* text, size_t length) {
  unsigned long h = revision;
  for (size_t i = 0; i < length; i++) h = h * 1099511628211UL + (unsigned char)text[i];
  return h;
}

const char* fragment_cache_get(unsigned long revision, const char* text, size_t length) {
  unsigned long key = hash(revision, text, length);
  pthread_mutex_lock(&lock);
  struct fragment* entry = cache[key % BUCKETS];
  while (entry && entry->key != key) entry = entry->next;
  pthread_mutex_unlock(&lock);
  return entry ? entry->html : NULL;
}

// Leak 2: the revision is part of the key, so no later document ever finds a fragment again; and none is ever dropped.
void fragment_cache_put(unsigned long revision, const char* text, size_t length, const char* html) {
  struct fragment* entry = malloc(sizeof *entry);
  if (!entry) return;
  size_t bytes = strlen(html) + 1;
  entry->html = malloc(bytes);
  if (entry->html) memcpy(entry->html, html, bytes);
  entry->key = hash(revision, text, length);
  pthread_mutex_lock(&lock);
  entry->next = cache[entry->key % BUCKETS];
  cache[entry->key % BUCKETS] = entry;
  pthread_mutex_unlock(&lock);
}
