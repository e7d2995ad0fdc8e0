// Attaches and detaches, over and over, while other threads allocate, and one loads and unloads a library, whose calls
// are bound late, or forks; then counts once more: attach_rounds LIBRARY [LOADED_AND_UNLOADED]
#include <link.h>
#include <sys/wait.h>

#include "attach_self.h"

using namespace attach_self;

constexpr int kRounds = 100, kThreads = 8, kSeconds = 100;  // a deadlock ends here

static volatile bool done;
static const char* library_path;
static void* blocks[1009];

static void* Churn(void*) {
  while (!done) {
    void* volatile block = malloc(331);
    block = realloc(block, 337);
    free(block);
    block = calloc(1, 347);
    free(block);
  }
  return nullptr;
}

static void* ComeAndGo(void*) {
  while (!done) {
    void* const library = dlopen(library_path, RTLD_LAZY);
    reinterpret_cast<void* (*)()>(dlsym(library, "unloadable_leak"))();
    dlclose(library);
  }
  return nullptr;
}

static int GoOn(struct dl_phdr_info*, size_t, void*) { return 0; }

// A child must not find the loader's lock taken for ever. (By us. Where others load libraries meanwhile, it may be.)
static void* Fork(void*) {
  while (!done) {
    const pid_t child = fork();
    if (child == 0) {
      alarm(kSeconds / 2);
      dl_iterate_phdr(&GoOn, nullptr);
      _exit(0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    if (status != 0) _exit(7);
  }
  return nullptr;
}

static void* RunMailbox(void* mailbox) { return run(static_cast<AttachMailbox*>(mailbox)); }

// On a thread of its own, which goes on for a while after it has answered.
static void ActOnThread(cgoprof::AttachAction action, pthread_t* thread) {
  AttachMailbox* const mailbox = NewMailbox(action, 1);
  pthread_create(thread, nullptr, &RunMailbox, mailbox);
  while (!IsDone(*mailbox)) {
    if (__atomic_load_n(&mailbox->progress, __ATOMIC_ACQUIRE) == cgoprof::kMailFailed) {
      puts(mailbox->failure);
      _exit(6);
    }
    usleep(100);
  }
}

int main(int, char** argv) {
  alarm(kSeconds);
  Load(argv);
  library_path = argv[2];
  pthread_t threads[kThreads], other;
  for (pthread_t& thread : threads) pthread_create(&thread, nullptr, &Churn, nullptr);
  pthread_create(&other, nullptr, library_path != nullptr ? &ComeAndGo : &Fork, nullptr);
  pthread_t acting[2 * kRounds];
  for (int i = 0; i < kRounds; i++) {
    ActOnThread(cgoprof::kAttachAction, &acting[2 * i]);
    ActOnThread(cgoprof::kDetachAction, &acting[2 * i + 1]);
    // Until its second look, now and then.
    if (i % 10 == 0) pthread_join(acting[2 * i + 1], nullptr);
  }
  for (int i = 0; i < 2 * kRounds; i++) {
    if (i % 20 != 1) pthread_join(acting[i], nullptr);
  }
  done = true;
  for (pthread_t& thread : threads) pthread_join(thread, nullptr);
  pthread_join(other, nullptr);
  Attach();
  Fill(blocks, 5003);
  for (int i = 0; i < 503; i++) free(blocks[i]);
  _exit(0);
}
