// See remote_process.h.
#include "addon/remote_process.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <string_view>

namespace cgoprof {
namespace {

constexpr std::string_view kDeleted = " (deleted)";

std::optional<RemoteMapping> ParseMapping(const std::string& line) {
  RemoteMapping mapping;
  char rights[5] = {};
  int path_at = 0;
  if (sscanf(line.c_str(), "%" SCNx64 "-%" SCNx64 " %4s %" SCNx64 " %*x:%*x %" SCNu64 " %n", &mapping.start,
             &mapping.end, rights, &mapping.offset, &mapping.inode, &path_at) != 5 ||
      mapping.start >= mapping.end) {
    return std::nullopt;
  }
  mapping.readable = rights[0] == 'r';
  mapping.writable = rights[1] == 'w';
  mapping.executable = rights[2] == 'x';
  mapping.path = line.substr(std::min(static_cast<size_t>(path_at), line.size()));
  const size_t length = mapping.path.size();
  if (length > kDeleted.size() && mapping.path.compare(length - kDeleted.size(), kDeleted.size(), kDeleted) == 0) {
    mapping.path.resize(length - kDeleted.size());
  }
  return mapping;
}

std::vector<std::string> SplitLines(const std::string& text) {
  std::vector<std::string> lines;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    lines.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return lines;
}

std::string Trimmed(const std::string& text) {
  const char* const kBlanks = " \t";
  const size_t first = text.find_first_not_of(kBlanks);
  if (first == std::string::npos) return "";
  return text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

}  // namespace

std::vector<RemoteMapping> ParseMappings(const std::string& maps) {
  std::vector<RemoteMapping> mappings;
  for (const std::string& line : SplitLines(maps)) {
    if (auto mapping = ParseMapping(line)) mappings.push_back(std::move(*mapping));
  }
  return mappings;
}

// "NUMBER ARG ARG ARG ARG ARG ARG SP PC"; "running", or "-1 SP PC" outside of a system call.
std::optional<ParkedCall> ParseParkedCall(const std::string& text) {
  ParkedCall call;
  uint64_t(&a)[6] = call.arguments;
  if (sscanf(text.c_str(),
             "%" SCNd64 " %" SCNx64 " %" SCNx64 " %" SCNx64 " %" SCNx64 " %" SCNx64 " %" SCNx64 " %" SCNx64 " %" SCNx64,
             &call.number, &a[0], &a[1], &a[2], &a[3], &a[4], &a[5], &call.sp, &call.pc) != 9 ||
      call.number < 0) {
    return std::nullopt;
  }
  return call;
}

const RemoteMapping* FindMapping(const std::vector<RemoteMapping>& mappings, uint64_t address) {
  const auto found = std::find_if(mappings.begin(), mappings.end(),
                                  [&](const RemoteMapping& mapping) { return mapping.Contains(address); });
  return found != mappings.end() ? &*found : nullptr;
}

std::string FileNameOf(const std::string& path) { return path.substr(path.rfind('/') + 1); }

std::optional<std::string> RemoteProcess::ReadFile(const std::string& name) const {
  const std::string path = "/proc/" + std::to_string(pid_) + "/" + name;
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return std::nullopt;
  std::string text;
  char buffer[16384];
  ssize_t n = 0;
  while (text.size() < kMostProcBytes && (n = read(fd, buffer, sizeof(buffer))) > 0) {
    text.append(buffer, static_cast<size_t>(n));
  }
  const int error = errno;
  close(fd);
  errno = error;
  if (n < 0) return std::nullopt;
  return text;
}

std::vector<RemoteMapping> RemoteProcess::Mappings() const { return ParseMappings(ReadFile("maps").value_or("")); }

std::vector<pid_t> RemoteProcess::Threads() const {
  std::vector<pid_t> threads;
  DIR* const tasks = opendir(("/proc/" + std::to_string(pid_) + "/task").c_str());
  if (tasks == nullptr) return threads;
  while (const dirent* entry = readdir(tasks)) {
    if (const long tid = strtol(entry->d_name, nullptr, 10); tid > 0) threads.push_back(static_cast<pid_t>(tid));
  }
  closedir(tasks);
  return threads;
}

bool RemoteProcess::IsSleeping(pid_t tid) const {
  const std::string stat = ReadFile("task/" + std::to_string(tid) + "/stat").value_or("");
  const size_t name_end = stat.rfind(')');
  return name_end != std::string::npos && stat.compare(name_end, 3, ") S") == 0;
}

std::optional<ParkedCall> RemoteProcess::Parked(pid_t tid) const {
  return ParseParkedCall(ReadFile("task/" + std::to_string(tid) + "/syscall").value_or(""));
}

std::string RemoteProcess::StatusField(pid_t tid, const std::string& field) const {
  const std::string prefix = field + ":";
  for (const std::string& line : SplitLines(ReadFile("task/" + std::to_string(tid) + "/status").value_or(""))) {
    if (line.compare(0, prefix.size(), prefix) == 0) return Trimmed(line.substr(prefix.size()));
  }
  return "";
}

std::string RemoteProcess::Identity() const {
  const std::string stat = ReadFile("stat").value_or("");
  // The program's name, in parentheses, may hold blanks and parentheses.
  const size_t name_end = stat.rfind(')');
  if (name_end == std::string::npos) return "";
  std::string identity;
  int field = 2;
  for (size_t at = name_end + 1; at < stat.size();) {
    const size_t end = std::min(stat.find(' ', at + 1), stat.size());
    ++field;
    if (field == 22 || (field >= 26 && field <= 28)) identity += stat.substr(at, end - at);
    at = end;
  }
  return identity;
}

bool RemoteProcess::ReadMemory(uint64_t address, void* out, size_t bytes) const {
  const iovec local = {out, bytes};
  const iovec remote = {reinterpret_cast<void*>(address), bytes};
  return process_vm_readv(pid_, &local, 1, &remote, 1, 0) == static_cast<ssize_t>(bytes);
}

bool RemoteProcess::WriteMemory(uint64_t address, const void* in, size_t bytes) const {
  const iovec local = {const_cast<void*>(in), bytes};
  const iovec remote = {reinterpret_cast<void*>(address), bytes};
  return process_vm_writev(pid_, &local, 1, &remote, 1, 0) == static_cast<ssize_t>(bytes);
}

}  // namespace cgoprof
