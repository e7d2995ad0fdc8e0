// What the service does in C under load.
#ifndef LOAD_H_
#define LOAD_H_

// Allocates and frees so many blocks of many sizes.
void churn(int blocks, unsigned seed);

// So many threads that churn and rest in turns, to the end of the process.
void churn_in_threads(int threads);

// Loads a library and unloads it again. Returns 0 if it cannot.
int load_and_unload(const char* path);

// Loads a library and has its plugin_leak called. Returns 0 if it cannot.
int leak_in_plugin(const char* path);

#endif  // LOAD_H_
