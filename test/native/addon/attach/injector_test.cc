// The injector against programs whose registers it must not change, and killed at every step.
#include "addon/injector.h"

#include <dirent.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <thread>
#include <tuple>
#include <utility>

#include "../temp_file.h"
#include "addon/remote_process.h"

// The calls by which the injector reaches into another process go through here (-Wl,--wrap): the kill_at-th of them
// ends this process, before it or after it was made.
namespace {
int calls_made = 0;
int kill_at = -1;
bool kill_after = false;

template <typename Call>
long Counted(Call call) {
  const bool is_last = calls_made++ == kill_at;
  if (is_last && !kill_after) raise(SIGKILL);
  const long result = call();
  if (is_last) raise(SIGKILL);
  return result;
}
}  // namespace

extern "C" {
long __real_ptrace(int request, ...);
long __wrap_ptrace(int request, pid_t pid, void* address, void* data) {
  return Counted([=] { return __real_ptrace(request, pid, address, data); });
}
ssize_t __real_process_vm_writev(pid_t, const iovec*, unsigned long, const iovec*, unsigned long, unsigned long);
ssize_t __wrap_process_vm_writev(pid_t pid, const iovec* local, unsigned long count, const iovec* remote,
                                 unsigned long remote_count, unsigned long flags) {
  return Counted([=] { return __real_process_vm_writev(pid, local, count, remote, remote_count, flags); });
}
}

namespace cgoprof {
namespace {

// A program that runs until the end of its scope, or ends by itself if it was disturbed.
class Program {
 public:
  explicit Program(const std::string& kind, const std::string& argument = "", const char* program = PARKED_PROGRAM) {
    int ends[2];
    EXPECT_EQ(pipe2(ends, O_CLOEXEC), 0);
    pid_ = fork();
    if (pid_ == 0) {
      dup2(ends[1], STDOUT_FILENO);
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      execl(program, program, kind.c_str(), argument.c_str(), nullptr);
      _exit(127);
    }
    close(ends[1]);
    output_ = ends[0];
    char ready[6];
    EXPECT_EQ(read(output_, ready, sizeof(ready)), static_cast<ssize_t>(sizeof(ready)));
  }
  ~Program() {
    Stop();
    close(output_);
  }
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  pid_t pid() const { return pid_; }

  // Ends it. What it said, if it ended by itself before.
  std::string Stop() {
    if (pid_ == 0) return "";
    kill(pid_, SIGKILL);
    int status = 0;
    waitpid(pid_, &status, 0);
    pid_ = 0;
    const bool was_running = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
    char text[256];
    const ssize_t length = read(output_, text, sizeof(text));
    if (was_running && length == 0) return "";
    return "ended with status " + std::to_string(status) + ": " + std::string(text, static_cast<size_t>(length));
  }

 private:
  pid_t pid_;
  int output_;
};

AttachRequest RequestFor(pid_t pid) {
  AttachRequest request;
  request.pid = pid;
  request.library_path = STAND_IN_LIBRARY;
  request.rate = 4099;
  request.deadline = std::chrono::seconds(3);
  return request;
}

// Long enough for a thread to meet the values it left in its registers again.
void LetItWait() { std::this_thread::sleep_for(std::chrono::milliseconds(60)); }

size_t CountOf(pid_t pid, const char* folder) {
  size_t count = 0;
  DIR* const entries = opendir(("/proc/" + std::to_string(pid) + "/" + folder).c_str());
  while (readdir(entries) != nullptr) ++count;
  closedir(entries);
  return count;
}

std::string Shown(const AttachResult& result) { return result.error.code + " " + result.error.message; }

class Waits : public testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(, Waits, testing::Values("nanosleep", "futex", "poll", "epoll", "read"),
                         [](const auto& info) { return std::string(info.param); });

TEST_P(Waits, AreGoneOnWithAsIfNothingHadBeen) {
  Program program(GetParam());
  for (int round = 0; round < 10; ++round) {
    AttachRequest request = RequestFor(program.pid());
    request.action = round % 2 == 0 ? kAttachAction : kDetachAction;
    const AttachResult result = AttachTo(request);
    ASSERT_EQ(Shown(result), " ");
    EXPECT_EQ(result.segment, "rate 4099, action " + std::to_string(request.action));
    EXPECT_EQ(result.patched, 7u);
    EXPECT_EQ(result.thread_id, program.pid());
    std::this_thread::sleep_for(std::chrono::milliseconds(7 * round));
  }
  LetItWait();
  EXPECT_EQ(program.Stop(), "");
}

TEST(Injector, LeavesNothingBehindButTheLibrary) {
  Program program("nanosleep");
  const pid_t pid = program.pid();
  const RemoteProcess process(pid);
  ASSERT_EQ(Shown(AttachTo(RequestFor(pid))), " ");
  LetItWait();
  const std::string before = process.ReadFile("maps").value();
  const size_t files = CountOf(pid, "fd");
  ASSERT_EQ(Shown(AttachTo(RequestFor(pid))), " ");
  for (int i = 0; i < 1000 && CountOf(pid, "task") > 3; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  EXPECT_EQ(process.ReadFile("maps").value(), before);
  EXPECT_EQ(CountOf(pid, "fd"), files);
  EXPECT_EQ(before.find(" rwxp "), std::string::npos);
}

// The call in which the target waits, and its number, by which it takes every fifth step for its own.
using KilledWait = std::tuple<const char*, int>;
constexpr int kWaits = 5;
class Killed : public testing::TestWithParam<KilledWait> {};
INSTANTIATE_TEST_SUITE_P(, Killed,
                         testing::Values(KilledWait{"nanosleep", 0}, KilledWait{"futex", 1}, KilledWait{"poll", 2},
                                         KilledWait{"epoll-may-end-early", 3}, KilledWait{"read", 4}),
                         [](const auto& info) { return std::to_string(std::get<int>(info.param)); });

// Whether the injector was killed, and did not come to its end before.
bool RunKilledAt(pid_t pid, int call, bool after) {
  const pid_t injector = fork();
  if (injector == 0) {
    calls_made = 0;
    kill_at = call;
    kill_after = after;
    AttachTo(RequestFor(pid));
    _exit(0);
  }
  int status = 0;
  waitpid(injector, &status, 0);
  return WIFSIGNALED(status);
}

// Before and after every call that reaches into the target.
TEST_P(Killed, AtAnyStepItLeavesTheTargetAliveAndAttachable) {
  const auto [kind, first] = GetParam();
  int kills = 0;
  for (int step = first;; step += kWaits) {
    Program program(kind);
    if (!RunKilledAt(program.pid(), step / 2, step % 2 == 1)) break;
    ++kills;
    LetItWait();
    EXPECT_EQ(Shown(AttachTo(RequestFor(program.pid()))), " ") << "after a kill at step " << step;
    LetItWait();
    EXPECT_EQ(program.Stop(), "") << "after a kill at step " << step;
  }
  EXPECT_GT(kills, 10);
}

// ---- seccomp ----

using FilteredWait = std::tuple<const char*, const char*>;
class Filtered : public testing::TestWithParam<FilteredWait> {};
INSTANTIATE_TEST_SUITE_P(, Filtered,
                         testing::Combine(testing::Values("nanosleep", "futex", "poll", "epoll", "read"),
                                          testing::Values("kill", "trap", "errno")),
                         [](const auto& info) {
                           return std::string(std::get<0>(info.param)) + "_" + std::get<1>(info.param);
                         });

// No call of a number that is none is ever made, not even by the way.
TEST_P(Filtered, WaitsAreGoneOnWithAsIfNothingHadBeen) {
  const auto [kind, filter] = GetParam();
  Program program(kind, filter);
  for (int round = 0; round < 3; ++round) {
    ASSERT_EQ(Shown(AttachTo(RequestFor(program.pid()))), " ");
    LetItWait();
  }
  EXPECT_EQ(program.Stop(), "");
}

// As by somebody who may not read filters.
std::string AttachUnprivileged(const AttachRequest& request) {
  int ends[2];
  EXPECT_EQ(pipe2(ends, O_CLOEXEC), 0);
  const pid_t child = fork();
  if (child == 0) {
    __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct data[2] = {};
    syscall(SYS_capget, &header, data);
    data[0].effective &= ~(1u << CAP_SYS_ADMIN);
    syscall(SYS_capset, &header, data);
    const std::string shown = Shown(AttachTo(request));
    _exit(write(ends[1], shown.data(), shown.size()) < 0);
  }
  close(ends[1]);
  char text[256];
  const ssize_t length = read(ends[0], text, sizeof(text));
  close(ends[0]);
  waitpid(child, nullptr, 0);
  return {text, static_cast<size_t>(std::max<ssize_t>(length, 0))};
}

TEST(Seccomp, AFilterThatCannotBeReadIsNotTried) {
  Program program("nanosleep", "kill");
  EXPECT_EQ(AttachUnprivileged(RequestFor(program.pid())), "SECCOMP_UNKNOWN ");
}

TEST(Seccomp, WhatAFilterForbidsIsSaidAndNothingIsLeft) {
  for (const auto& [filter, shown] :
       {std::pair("memfd-trap", "SECCOMP_FORBIDS memfd_create"), std::pair("no-threads", "NO_MEMORY pthread_create")}) {
    Program program("poll", filter);
    const RemoteProcess process(program.pid());
    AttachRequest request = RequestFor(program.pid());
    request.trust_seccomp = true;
    EXPECT_EQ(AttachUnprivileged(request), shown);  // what libc keeps for its next thread is there from now on
    const std::string before = process.ReadFile("maps").value();
    const size_t files = CountOf(program.pid(), "fd");
    EXPECT_EQ(AttachUnprivileged(request), shown);
    EXPECT_EQ(process.ReadFile("maps").value(), before) << filter;
    EXPECT_EQ(before.find("memfd"), std::string::npos) << filter;
    EXPECT_EQ(CountOf(program.pid(), "fd"), files) << filter;
    LetItWait();
    EXPECT_EQ(program.Stop(), "") << filter;
  }
}

// ---- Awkward programs ----

TEST(Awkward, ThreadsMayBeHavingTheirUserChanged) {
  Program program("setxid", "", AWKWARD_PROGRAM);
  for (int round = 0; round < 50; ++round) {
    const AttachResult result = AttachTo(RequestFor(program.pid()));
    EXPECT_EQ(Shown(result), " ") << "round " << round;
  }
  std::this_thread::sleep_for(std::chrono::seconds(3));  // it takes a while to be sure that it hangs
  EXPECT_EQ(program.Stop(), "");
}

// Nor does the program come to notice that anybody looked, in the time that it may take for that.
void ExpectNoneIsUsed(const char* kind, const char* threads, std::chrono::milliseconds to_notice) {
  Program program(kind, "", AWKWARD_PROGRAM);
  AttachRequest request = RequestFor(program.pid());
  request.deadline = std::chrono::milliseconds(500);
  EXPECT_EQ(Shown(AttachTo(request)), std::string("NO_SAFE_POINT ") + threads);
  std::this_thread::sleep_for(to_notice);
  EXPECT_EQ(program.Stop(), "");
}

TEST(Awkward, AThreadThatWaitsForTheOthersToChangeTheirUserIsNotUsed) {
  ExpectNoneIsUsed("setxid-waits", "2", std::chrono::seconds(3));
}

TEST(Awkward, AThreadThatWaitsInASignalHandlerIsNotUsed) { ExpectNoneIsUsed("handler", "3", std::chrono::seconds(3)); }

TEST(Awkward, AStackWithoutRoomIsNotUsed) { ExpectNoneIsUsed("small-stack", "2", std::chrono::milliseconds(60)); }

TEST(Awkward, NoFileButOursIsWritten) {
  const std::string content = "somebody else's";
  const TempFile victim(content);
  Program program("swap", victim.path(), AWKWARD_PROGRAM);
  for (int round = 0; round < 20; ++round) AttachTo(RequestFor(program.pid()));
  char read_back[64] = {};
  EXPECT_EQ(pread(victim.fd(), read_back, sizeof(read_back), 0), static_cast<ssize_t>(content.size()));
  EXPECT_EQ(read_back, content);
}

TEST(Injector, SaysWhatTheLibrarySays) {
  Program program("poll");
  AttachRequest request = RequestFor(program.pid());
  request.directory = "fail";
  const AttachResult result = AttachTo(request);
  EXPECT_EQ(Shown(result), "LIBRARY no-room");
}

TEST(Injector, DoesNotWaitForEver) {
  Program program("poll");
  AttachRequest request = RequestFor(program.pid());
  request.directory = "hang";
  request.deadline = std::chrono::milliseconds(300);
  EXPECT_EQ(Shown(AttachTo(request)), "BUSY ");
  EXPECT_EQ(program.Stop(), "");
}

TEST(Injector, DetachesNothingThatIsNotAttached) {
  Program program("poll");
  AttachRequest request = RequestFor(program.pid());
  request.action = kDetachAction;
  EXPECT_EQ(Shown(AttachTo(request)), "LIBRARY not-attached");
}

TEST(Injector, RefusesWhereNoThreadIsAtASafePoint) {
  Program program("spin");
  AttachRequest request = RequestFor(program.pid());
  request.deadline = std::chrono::milliseconds(200);
  EXPECT_EQ(Shown(AttachTo(request)), "NO_SAFE_POINT 1");
  EXPECT_EQ(program.Stop(), "");
}

TEST(Injector, RefusesAProcessThatIsGone) {
  pid_t pid = 0;
  {
    Program program("spin");
    pid = program.pid();
  }
  EXPECT_EQ(Shown(AttachTo(RequestFor(pid))), "GONE ");
}

TEST(Injector, RefusesAProcessThatIsStopped) {
  Program program("nanosleep");
  kill(program.pid(), SIGSTOP);
  int status = 0;
  waitpid(program.pid(), &status, WUNTRACED);
  EXPECT_EQ(Shown(AttachTo(RequestFor(program.pid()))), "STOPPED ");
}

TEST(Injector, RefusesAZombie) {
  const pid_t pid = fork();
  if (pid == 0) _exit(0);
  siginfo_t info;
  waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOWAIT);
  EXPECT_EQ(Shown(AttachTo(RequestFor(pid))), "ZOMBIE ");
  waitpid(pid, nullptr, 0);
}

TEST(Injector, RefusesAProcessThatIsTraced) {
  Program program("nanosleep");
  ASSERT_EQ(ptrace(PTRACE_SEIZE, program.pid(), nullptr, nullptr), 0);
  EXPECT_EQ(Shown(AttachTo(RequestFor(program.pid()))), "TRACED " + std::to_string(getpid()));
}

}  // namespace
}  // namespace cgoprof
