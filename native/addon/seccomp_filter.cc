// See seccomp_filter.h.
#include "addon/seccomp_filter.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>

#include <algorithm>

namespace cgoprof {
namespace {

// What glibc's pthread_create asks of clone.
constexpr uint64_t kThreadFlags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SYSVSEM | CLONE_SIGHAND | CLONE_THREAD |
                                  CLONE_SETTLS | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID;

// A system call that attaching makes in the process, with the arguments that filters look at.
struct MadeCall {
  const char* name;
  int number;
  uint64_t arguments[6];
  bool may_fail;  // an error is an answer too: something else is done then, or nothing
};

// In the borrowed thread; in pthread_create and the new thread's start and end; in dlopen; in the library.
constexpr MadeCall kMadeCalls[] = {
    {"mmap", SYS_mmap, {0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS}, false},
    {"mmap", SYS_mmap, {0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE}, false},
    {"mmap", SYS_mmap, {0, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK}, false},
    {"mmap", SYS_mmap, {0, 4096, PROT_NONE, MAP_SHARED | MAP_NORESERVE}, false},
    {"munmap", SYS_munmap, {0, 4096}, false},
    {"mprotect", SYS_mprotect, {0, 4096, PROT_READ | PROT_WRITE}, false},
    {"mprotect", SYS_mprotect, {0, 4096, PROT_READ}, false},
    {"memfd_create", SYS_memfd_create, {0, MFD_CLOEXEC}, false},
    {"rt_sigprocmask", SYS_rt_sigprocmask, {0, 0, 0, 8}, false},
    {"rt_sigreturn", SYS_rt_sigreturn, {}, false},
    {"rt_sigaction", SYS_rt_sigaction, {}, false},
    {"restart_syscall", SYS_restart_syscall, {}, false},
    {"getrandom", SYS_getrandom, {}, true},
    {"brk", SYS_brk, {}, true},
    {"clone3", SYS_clone3, {}, true},
    {"clone", SYS_clone, {kThreadFlags}, false},
    {"set_robust_list", SYS_set_robust_list, {}, true},
    {"rseq", 334, {}, true},
    {"sched_getaffinity", SYS_sched_getaffinity, {}, true},
    {"madvise", SYS_madvise, {0, 4096, MADV_DONTFORK}, false},
    {"madvise", SYS_madvise, {0, 4096, MADV_DONTNEED}, true},
    {"futex", SYS_futex, {}, false},
    {"prctl", SYS_prctl, {PR_SET_NAME}, true},
    {"prctl", SYS_prctl, {0x53564d41 /* PR_SET_VMA */}, true},
    {"arch_prctl", SYS_arch_prctl, {}, false},
    {"openat", SYS_openat, {0, 0, O_RDONLY | O_CLOEXEC}, false},
    {"openat", SYS_openat, {0, 0, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC}, false},
    {"read", SYS_read, {}, false},
    {"pread64", SYS_pread64, {}, false},
    {"close", SYS_close, {}, false},
    {"newfstatat", SYS_newfstatat, {}, false},
    {"fstat", SYS_fstat, {}, false},
    {"fstatfs", SYS_fstatfs, {}, false},
    {"statfs", SYS_statfs, {}, true},
    {"ftruncate", SYS_ftruncate, {}, false},
    {"mkdirat", SYS_mkdirat, {}, true},
    {"unlinkat", SYS_unlinkat, {}, true},
    {"readlinkat", SYS_readlinkat, {}, true},
    {"getdents64", SYS_getdents64, {}, true},
    {"prlimit64", SYS_prlimit64, {}, false},
    {"clock_gettime", SYS_clock_gettime, {}, false},
    {"clock_nanosleep", SYS_clock_nanosleep, {}, true},
    {"nanosleep", SYS_nanosleep, {}, true},
    {"getpid", SYS_getpid, {}, false},
    {"gettid", SYS_gettid, {}, false},
    {"geteuid", SYS_geteuid, {}, false},
    {"exit", SYS_exit, {}, false},
};

bool IsAllowed(uint32_t action) { return action == SECCOMP_RET_ALLOW || action == SECCOMP_RET_LOG; }

// Whether the call gets through, or comes back with an error where that is an answer too.
bool Passes(const SeccompFilter& filter, const MadeCall& call) {
  seccomp_data data = {};
  data.nr = call.number;
  data.arch = AUDIT_ARCH_X86_64;
  std::copy(std::begin(call.arguments), std::end(call.arguments), data.args);
  const uint32_t answer = RunSeccompFilter(filter, data);
  const uint32_t action = answer & SECCOMP_RET_ACTION_FULL;
  return IsAllowed(action) || (call.may_fail && action == SECCOMP_RET_ERRNO);
}

// The classic BPF machine.
class Machine {
 public:
  Machine(const SeccompFilter& filter, const seccomp_data& data) : filter_(filter), data_(data) {}

  uint32_t Run() {
    // Jumps lead forward only, so this ends.
    for (size_t at = 0; at < filter_.size(); ++at) {
      const sock_filter& one = filter_[at];
      switch (BPF_CLASS(one.code)) {
        case BPF_RET:
          return BPF_RVAL(one.code) == BPF_A ? a_ : one.k;
        case BPF_JMP:
          at += Jump(one);
          break;
        case BPF_ALU:
          a_ = Compute(one);
          break;
        case BPF_LD:
          a_ = Load(one);
          break;
        case BPF_LDX:
          x_ = Load(one);
          break;
        case BPF_ST:
        case BPF_STX:
          if (one.k < BPF_MEMWORDS) memory_[one.k] = BPF_CLASS(one.code) == BPF_ST ? a_ : x_;
          break;
        default:  // BPF_MISC
          (BPF_MISCOP(one.code) == BPF_TAX ? x_ : a_) = BPF_MISCOP(one.code) == BPF_TAX ? a_ : x_;
      }
    }
    return SECCOMP_RET_KILL_PROCESS;
  }

 private:
  uint32_t Operand(const sock_filter& one) const { return BPF_SRC(one.code) == BPF_X ? x_ : one.k; }

  uint32_t Load(const sock_filter& one) const {
    switch (BPF_MODE(one.code)) {
      case BPF_ABS: {
        uint32_t word = 0;
        if (one.k <= sizeof(data_) - sizeof(word))
          memcpy(&word, reinterpret_cast<const char*>(&data_) + one.k, sizeof(word));
        return word;
      }
      case BPF_MEM:
        return one.k < BPF_MEMWORDS ? memory_[one.k] : 0;
      case BPF_LEN:
        return sizeof(data_);
      default:  // BPF_IMM
        return one.k;
    }
  }

  uint32_t Compute(const sock_filter& one) const {
    const uint32_t operand = Operand(one);
    switch (BPF_OP(one.code)) {
      case BPF_ADD:
        return a_ + operand;
      case BPF_SUB:
        return a_ - operand;
      case BPF_MUL:
        return a_ * operand;
      case BPF_DIV:
        return operand != 0 ? a_ / operand : 0;
      case BPF_AND:
        return a_ & operand;
      case BPF_OR:
        return a_ | operand;
      case BPF_XOR:
        return a_ ^ operand;
      case BPF_LSH:
        return operand < 32 ? a_ << operand : 0;
      case BPF_RSH:
        return operand < 32 ? a_ >> operand : 0;
      default:  // BPF_NEG
        return -a_;
    }
  }

  size_t Jump(const sock_filter& one) const {
    const uint32_t operand = Operand(one);
    switch (BPF_OP(one.code)) {
      case BPF_JA:
        return one.k;
      case BPF_JEQ:
        return a_ == operand ? one.jt : one.jf;
      case BPF_JGT:
        return a_ > operand ? one.jt : one.jf;
      case BPF_JGE:
        return a_ >= operand ? one.jt : one.jf;
      default:  // BPF_JSET
        return (a_ & operand) != 0 ? one.jt : one.jf;
    }
  }

  const SeccompFilter& filter_;
  const seccomp_data& data_;
  uint32_t a_ = 0;
  uint32_t x_ = 0;
  uint32_t memory_[BPF_MEMWORDS] = {};
};

}  // namespace

uint32_t RunSeccompFilter(const SeccompFilter& filter, const seccomp_data& data) { return Machine(filter, data).Run(); }

// Every filter is asked about every call; the strictest answer counts.
std::string FindForbiddenCall(const std::vector<SeccompFilter>& filters) {
  for (const MadeCall& call : kMadeCalls) {
    for (const SeccompFilter& filter : filters) {
      if (!Passes(filter, call)) return call.name;
    }
  }
  return "";
}

FilterAccess ReadSeccompFilters(pid_t tid, std::vector<SeccompFilter>* filters) {
  constexpr auto kGetFilter = static_cast<__ptrace_request>(0x420c);  // PTRACE_SECCOMP_GET_FILTER
  for (uintptr_t index = 0;; ++index) {
    const long length = ptrace(kGetFilter, tid, index, nullptr);
    if (length < 0) return errno == ENOENT ? FilterAccess::kRead : FilterAccess::kForbidden;
    SeccompFilter filter(static_cast<size_t>(length));
    if (ptrace(kGetFilter, tid, index, filter.data()) != length) return FilterAccess::kForbidden;
    filters->push_back(std::move(filter));
  }
}

}  // namespace cgoprof
