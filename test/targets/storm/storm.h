// What the goroutines of this target have C do.
#ifndef STORM_H_
#define STORM_H_

// Goes down through Go and C in turn, `levels` of each, and there allocates and frees 100 blocks of 17 bytes.
void down(int levels);

// Keeps a block of 331 bytes for good.
void keep_one(void);

#endif
