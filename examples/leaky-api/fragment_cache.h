// Remembers rendered fragments, so that a block of text that did not change need not be rendered again.
#ifndef FRAGMENT_CACHE_H_
#define FRAGMENT_CACHE_H_

#include <stddef.h>

// A new revision number for each document rendered.
unsigned long fragment_cache_next_revision(void);

// The HTML remembered for a block of text, or NULL. It belongs to the cache.
const char* fragment_cache_get(unsigned long revision, const char* text, size_t length);

// Remembers the HTML of a block of text. Copies both.
void fragment_cache_put(unsigned long revision, const char* text, size_t length, const char* html);

#endif
