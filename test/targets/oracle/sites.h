// The lines that allocate, each of them a site, as a table to choose from.
#ifndef SITES_H_
#define SITES_H_

#include <stddef.h>

enum effect {
  MAKES,     // a block where there was none
  RESIZES,   // in place or not: in the books the old block is freed, and a new one allocated at this line
  RELEASES,  // the block is freed, nothing allocated
  REFUSES,   // fails: the block that was there, if any, lives on as it was
};

struct site {
  const char* name;
  enum effect effect;
  int needs_block;
  // Does it to *block. Returns the bytes asked for, out of about `size`.
  size_t (*act)(void** block, size_t size);
};

extern const struct site sites[];
enum { SITES = 23 };

#endif
