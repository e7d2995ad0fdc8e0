// Leaves the real malloc, and with it our hook, in every way but by returning: by an exception, longjmp, pthread_exit
// and cancellation. Destructors between must run, and what is allocated afterwards must be recorded.
#include <dlfcn.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdlib.h>

namespace {

enum : size_t { kThrow = 5021, kJump = 5023, kExit = 5039, kCancel = 5051 };

constexpr int kRounds = 101;

// Through a pointer: the compiler believes that malloc itself throws nothing.
void* (*volatile allocate)(size_t) = malloc;
void* volatile kept;
int destroyed;
thread_local jmp_buf before;

struct Guard {
  ~Guard() { destroyed++; }
};

// Its destructor is among the last things that happen in a thread.
struct LastWords {
  ~LastWords() { kept = allocate(2003); }
  int value = 0;
};
thread_local LastWords last_words;

void Leave(size_t size) {
  if (size == kThrow) throw size;
  if (size == kJump) longjmp(before, 1);
  if (size == kExit) pthread_exit(nullptr);
  if (size == kCancel) pthread_testcancel();
}

bool Throw() {
  try {
    const Guard guard;
    allocate(kThrow);
    return false;
  } catch (size_t size) {
    return size == kThrow;
  }
}

bool Jump() {
  if (setjmp(before) == 0) {
    allocate(kJump);
    return false;
  }
  return true;
}

void* ExitThread(void*) {
  last_words.value = 1;
  const Guard guard;
  allocate(kExit);
  abort();
}

void* CancelThread(void*) {
  last_words.value = 1;
  const Guard guard;
  pthread_cancel(pthread_self());
  allocate(kCancel);
  abort();
}

bool EndThread(void* (*start)(void*), void* expected) {
  pthread_t thread;
  void* result = &thread;
  return pthread_create(&thread, nullptr, start, nullptr) == 0 && pthread_join(thread, &result) == 0 &&
         result == expected;
}

}  // namespace

int main() {
  auto watch = static_cast<void (**)(size_t)>(dlsym(RTLD_DEFAULT, "before_malloc"));
  if (watch == nullptr) return 2;
  *watch = Leave;
  for (int i = 0; i < kRounds; i++) {
    if (!Throw() || !Jump() || !EndThread(ExitThread, nullptr) || !EndThread(CancelThread, PTHREAD_CANCELED)) return 3;
    kept = allocate(1013);
  }
  return destroyed == 3 * kRounds ? 0 : 4;
}
