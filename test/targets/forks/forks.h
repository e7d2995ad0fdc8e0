// Every way a C library makes a child process. The parent's memory must look as if the children had not been.
#ifndef FORKS_H_
#define FORKS_H_

// Leaked by the parent, before and after its children: 101 blocks each of 1009 and 1013 bytes.
void leak_before(void);
void leak_after(void);

// Each makes one child, waits for it, and returns its wait status, or -1. `program` is executed without arguments.
int fork_and_allocate(void);  // the child allocates, frees what it inherited, and leaves by _exit
int fork_and_exit(void);      // the child leaves by exit, so its atexit handlers run
int fork_and_exec(const char* program);
int vfork_and_exec(const char* program);
int spawn(const char* program);

#endif
