// Memory that is never freed, and the other things that the service leaves to C.
#ifndef MEMORY_H_
#define MEMORY_H_

// 101 blocks of 1009 bytes at each call.
void hold(void);

// 107 blocks of 1013 bytes: what a child holds.
void hold_in_child(void);

// Starts a program with one argument (or none: NULL) and `input` as its standard input. Its pid, or -1.
int spawn_child(const char* program, const char* argument, int input);

// Waits for it. Its wait status, or -1.
int wait_for_child(int pid);

#endif
