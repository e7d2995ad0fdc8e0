// Canaries: loops that hold known values in every register across one raw, blocking system call, or while they spin,
// and look at them again. What changed, a call that failed, and a wait that ended too early are defects of whoever
// disturbed them.
#ifndef CANARY_H_
#define CANARY_H_

#include <stdint.h>

enum canary_kind {
  CANARY_FUTEX,
  CANARY_NANOSLEEP,
  CANARY_READ,
  CANARY_POLL,
  CANARY_EPOLL,
  CANARY_SPIN,
  CANARY_KINDS,
};

extern const char* const canary_names[CANARY_KINDS];

// Does one round. Returns 0 if something was not as it has to be; canary_fault says what.
int canary_watch(enum canary_kind kind);

// A thread for each kind, to the end of the process.
void canaries_start(void);

uint64_t canary_rounds(enum canary_kind kind);

// Waits that ended by EINTR: epoll_wait does so after any stop (signal(7)), the others must not.
uint64_t canary_interruptions(enum canary_kind kind);

// What was wrong first; "" as long as nothing is.
const char* canary_fault(void);

#endif  // CANARY_H_
