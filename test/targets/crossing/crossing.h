// The C side of the crossing target. Each leak_* keeps one block per call; expect.go says under which frames.
#ifndef CROSSING_H_
#define CROSSING_H_

// Go -> C.
void leak_direct(void);

// Go -> C -> Go -> C -> ...: calls goLevel(level), which calls down again until level 0 leaks.
void c_level(int level);
void leak_innermost(void);

// C frames in between Go frames and the block: recursion in C, `depth` frames deep.
void leak_recursive(int depth);

// A thread that C made, on which the Go runtime has no goroutine until goOnThread is called.
void run_thread(void);
void leak_on_thread(void);
void leak_beside_go(void);

#endif
