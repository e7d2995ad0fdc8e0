// Lines that hold a known number of blocks of a known size more each time.
#ifndef SITES_H_
#define SITES_H_

void leak_all(void);
void release_all(void);

// Blocks that there is no line for in sites.json: they are from before the attach.
void leak_early(void);
void release_early(void);

#endif  // SITES_H_
