// What goroutines and C threads do to the allocator at the same time. sites.json beside it says how much of it.
#ifndef THREADS_H_
#define THREADS_H_

void keep_one(void);
void churn_one(void);
void* hand_out(void);
void take_back(void* block);

// Calls Go, which calls keep_one_called_back.
void call_go(void);
void keep_one_called_back(void);

// Starts the C threads; waits for them.
void start_threads(void);
void join_threads(void);

#endif
