// Functions that allocate, each a line of a profile by itself.
#ifndef SITES_H_
#define SITES_H_

#include <stddef.h>

struct held {
  const char* function;
  size_t size;  // of each of its blocks; 0: of many sizes
  size_t blocks;
  size_t bytes;
};

int site_count(void);
struct held held_by(int index);

void allocate_all(void);
void free_all(void);

#endif
