// Random operations of the malloc family, and what they add up to per line of source.
#ifndef BOOKS_H_
#define BOOKS_H_

#include <stdint.h>

// Blocks of no bytes are in nobody's books: pprof's heap profiles leave them out.
struct book {
  uint64_t allocs;
  uint64_t alloc_bytes;
  uint64_t frees;
  uint64_t free_bytes;
};

// Does that many on 4 threads and waits for them. Blocks that are live at the end stay so, for the next call.
void do_operations(uint64_t count);

int site_count(void);
const char* site_name(int site);
struct book book_of(int site);

#endif
