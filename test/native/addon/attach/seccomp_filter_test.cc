// Filters as the kernel runs them, and what they mean for attaching.
#include "addon/seccomp_filter.h"

#include <errno.h>
#include <gtest/gtest.h>
#include <linux/audit.h>
#include <signal.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace cgoprof {
namespace {

constexpr uint16_t kLoad = BPF_LD | BPF_W | BPF_ABS;
constexpr uint16_t kIfEqual = BPF_JMP | BPF_JEQ | BPF_K;
constexpr uint16_t kReturn = BPF_RET | BPF_K;

// Answers `action` to one system call, and allows all others.
SeccompFilter Forbidding(uint32_t number, uint32_t action) {
  return {BPF_STMT(kLoad, offsetof(seccomp_data, nr)), BPF_JUMP(kIfEqual, number, 0, 1), BPF_STMT(kReturn, action),
          BPF_STMT(kReturn, SECCOMP_RET_ALLOW)};
}

uint32_t Answer(const SeccompFilter& filter, const seccomp_data& data = {}) { return RunSeccompFilter(filter, data); }

TEST(SeccompFilter, AnswersByTheNumberOfTheCall) {
  const SeccompFilter filter = Forbidding(SYS_memfd_create, SECCOMP_RET_ERRNO | EPERM);
  seccomp_data data = {};
  data.nr = SYS_memfd_create;
  EXPECT_EQ(Answer(filter, data), SECCOMP_RET_ERRNO | EPERM);
  data.nr = SYS_mmap;
  EXPECT_EQ(Answer(filter, data), SECCOMP_RET_ALLOW);
}

TEST(SeccompFilter, LoadsEveryWordOfTheData) {
  seccomp_data data = {};
  data.nr = 11;
  data.arch = AUDIT_ARCH_X86_64;
  data.instruction_pointer = 0x0102030405060708;
  data.args[5] = 0x1112131415161718;
  const auto word = [&](uint32_t offset) {
    return Answer({BPF_STMT(kLoad, offset), BPF_STMT(BPF_RET | BPF_A, 0)}, data);
  };
  EXPECT_EQ(word(0), 11u);
  EXPECT_EQ(word(4), static_cast<uint32_t>(AUDIT_ARCH_X86_64));
  EXPECT_EQ(word(8), 0x05060708u);
  EXPECT_EQ(word(12), 0x01020304u);
  EXPECT_EQ(word(56), 0x15161718u);
  EXPECT_EQ(word(60), 0x11121314u);
  EXPECT_EQ(word(61), 0u);
  EXPECT_EQ(word(0xffffffff), 0u);
}

TEST(SeccompFilter, Computes) {
  struct Step {
    uint16_t operation;
    uint32_t operand;
    uint32_t result;
  };
  constexpr Step kSteps[] = {{BPF_ADD, 5, 25}, {BPF_SUB, 5, 15}, {BPF_MUL, 3, 60}, {BPF_DIV, 3, 6},
                             {BPF_AND, 6, 4},  {BPF_OR, 3, 23},  {BPF_XOR, 6, 18}, {BPF_LSH, 3, 160},
                             {BPF_RSH, 2, 5},  {BPF_LSH, 32, 0}, {BPF_DIV, 0, 0},  {BPF_NEG, 0, 0xffffffec}};
  for (const auto& [operation, operand, result] : kSteps) {
    const auto code = static_cast<uint16_t>(BPF_ALU | operation);
    EXPECT_EQ(Answer({BPF_STMT(BPF_LD | BPF_IMM, 20), BPF_STMT(static_cast<uint16_t>(code | BPF_K), operand),
                      BPF_STMT(BPF_RET | BPF_A, 0)}),
              result);
    EXPECT_EQ(Answer({BPF_STMT(BPF_LDX | BPF_IMM, operand), BPF_STMT(BPF_LD | BPF_IMM, 20),
                      BPF_STMT(static_cast<uint16_t>(code | BPF_X), 0), BPF_STMT(BPF_RET | BPF_A, 0)}),
              result);
  }
}

TEST(SeccompFilter, JumpsStoresAndMoves) {
  const auto jump = [](uint16_t operation, uint32_t operand) {
    return Answer({BPF_STMT(BPF_LD | BPF_IMM, 20),
                   BPF_JUMP(static_cast<uint16_t>(BPF_JMP | operation | BPF_K), operand, 0, 1), BPF_STMT(kReturn, 1),
                   BPF_STMT(kReturn, 0)});
  };
  EXPECT_EQ(jump(BPF_JEQ, 20), 1u);
  EXPECT_EQ(jump(BPF_JEQ, 21), 0u);
  EXPECT_EQ(jump(BPF_JGT, 19), 1u);
  EXPECT_EQ(jump(BPF_JGT, 20), 0u);
  EXPECT_EQ(jump(BPF_JGE, 20), 1u);
  EXPECT_EQ(jump(BPF_JGE, 21), 0u);
  EXPECT_EQ(jump(BPF_JSET, 4), 1u);
  EXPECT_EQ(jump(BPF_JSET, 3), 0u);
  EXPECT_EQ(Answer({BPF_STMT(BPF_JMP | BPF_JA, 1), BPF_STMT(kReturn, 1), BPF_STMT(kReturn, 2)}), 2u);
  EXPECT_EQ(Answer({BPF_STMT(BPF_LD | BPF_IMM, 7), BPF_STMT(BPF_ST, 15), BPF_STMT(BPF_LD | BPF_IMM, 8),
                    BPF_STMT(BPF_LDX | BPF_MEM, 15), BPF_STMT(BPF_MISC | BPF_TXA, 0), BPF_STMT(BPF_RET | BPF_A, 0)}),
            7u);
  EXPECT_EQ(Answer({BPF_STMT(BPF_LD | BPF_W | BPF_LEN, 0), BPF_STMT(BPF_RET | BPF_A, 0)}), sizeof(seccomp_data));
}

TEST(SeccompFilter, OneThatTheKernelWouldNotTakeKills) {
  EXPECT_EQ(Answer({}), SECCOMP_RET_KILL_PROCESS);
  EXPECT_EQ(Answer({BPF_STMT(BPF_JMP | BPF_JA, 0xffffffff)}), SECCOMP_RET_KILL_PROCESS);
  EXPECT_EQ(Answer({BPF_STMT(BPF_ST, 16), BPF_STMT(BPF_LD | BPF_MEM, 99), BPF_STMT(BPF_RET | BPF_A, 0)}), 0u);
}

TEST(ForbiddenCall, IsTheFirstThatAnyFilterDoesNotLetThrough) {
  EXPECT_EQ(FindForbiddenCall({}), "");
  EXPECT_EQ(FindForbiddenCall({Forbidding(SYS_ptrace, SECCOMP_RET_KILL_PROCESS)}), "");
  for (const uint32_t action : {SECCOMP_RET_KILL_PROCESS, SECCOMP_RET_KILL_THREAD, SECCOMP_RET_TRAP,
                                SECCOMP_RET_ERRNO | EPERM, SECCOMP_RET_USER_NOTIF, SECCOMP_RET_TRACE}) {
    EXPECT_EQ(FindForbiddenCall({Forbidding(SYS_ptrace, SECCOMP_RET_TRAP), Forbidding(SYS_memfd_create, action)}),
              "memfd_create")
        << std::hex << action;
  }
  EXPECT_EQ(FindForbiddenCall({Forbidding(SYS_memfd_create, SECCOMP_RET_LOG)}), "");
}

TEST(ForbiddenCall, AnErrorWillDoWhereAnotherWayIsTakenThen) {
  EXPECT_EQ(FindForbiddenCall({Forbidding(SYS_clone3, SECCOMP_RET_ERRNO | ENOSYS)}), "");
  EXPECT_EQ(FindForbiddenCall({Forbidding(SYS_clone3, SECCOMP_RET_KILL_PROCESS)}), "clone3");
}

TEST(ForbiddenCall, ArgumentsCount) {
  // As a rule against code that is made at run time: no mapping that is writable and executable.
  const SeccompFilter filter = {
      BPF_STMT(kLoad, offsetof(seccomp_data, nr)),
      BPF_JUMP(kIfEqual, SYS_mmap, 0, 4),
      BPF_STMT(kLoad, offsetof(seccomp_data, args) + 2 * sizeof(uint64_t)),
      BPF_STMT(BPF_ALU | BPF_AND | BPF_K, PROT_WRITE | PROT_EXEC),
      BPF_JUMP(kIfEqual, PROT_WRITE | PROT_EXEC, 0, 1),
      BPF_STMT(kReturn, SECCOMP_RET_KILL_PROCESS),
      BPF_STMT(kReturn, SECCOMP_RET_ALLOW),
  };
  EXPECT_EQ(FindForbiddenCall({filter}), "");
}

TEST(SeccompFilters, AreReadInTheOrderOfTheKernel) {
  const pid_t child = fork();
  if (child == 0) {
    for (const uint32_t number : {SYS_memfd_create, SYS_ptrace}) {
      SeccompFilter filter = Forbidding(number, SECCOMP_RET_ERRNO | number);
      const sock_fprog program = {static_cast<unsigned short>(filter.size()), filter.data()};
      prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
      if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) _exit(1);
    }
    raise(SIGSTOP);
    _exit(0);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, WUNTRACED), child);
  ASSERT_TRUE(WIFSTOPPED(status));
  ASSERT_EQ(ptrace(PTRACE_SEIZE, child, nullptr, nullptr), 0);
  ptrace(PTRACE_INTERRUPT, child, nullptr, nullptr);
  ASSERT_EQ(waitpid(child, &status, 0), child);
  std::vector<SeccompFilter> filters;
  const FilterAccess access = ReadSeccompFilters(child, &filters);
  kill(child, SIGKILL);
  waitpid(child, &status, 0);
  if (access == FilterAccess::kForbidden) GTEST_SKIP() << "without CAP_SYS_ADMIN filters cannot be read";
  ASSERT_EQ(filters.size(), 2u);
  EXPECT_EQ(FindForbiddenCall(filters), "memfd_create");
}

}  // namespace
}  // namespace cgoprof
