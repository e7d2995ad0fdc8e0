// See memory_file.h.
#include "addon/memory_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

namespace cgoprof {
namespace {

bool IsEmptyMemoryFile(int fd, const std::string& name) {
  struct stat info = {};
  char target[64] = {};
  const std::string link = "/proc/self/fd/" + std::to_string(fd);
  const std::string expected = "/memfd:" + name;
  return fstat(fd, &info) == 0 && S_ISREG(info.st_mode) && info.st_nlink == 0 && info.st_size == 0 &&
         readlink(link.c_str(), target, sizeof(target) - 1) > 0 &&
         strncmp(target, expected.c_str(), expected.size()) == 0;
}

// -1, and errno says why not.
int OpenMemoryFile(pid_t pid, int32_t number, const std::string& name) {
  const std::string path = "/proc/" + std::to_string(pid) + "/fd/" + std::to_string(number);
  const int place = open(path.c_str(), O_PATH | O_CLOEXEC);
  if (place < 0) return -1;
  const bool is_ours = IsEmptyMemoryFile(place, name);
  const std::string again = "/proc/self/fd/" + std::to_string(place);
  const int fd = is_ours ? open(again.c_str(), O_WRONLY | O_CLOEXEC | O_NONBLOCK) : -1;
  const int error = is_ours ? errno : ENOENT;
  close(place);
  errno = error;
  return fd;
}

}  // namespace

NativeError FillMemoryFile(pid_t pid, int32_t number, const std::string& name, const std::string& bytes) {
  const int fd = OpenMemoryFile(pid, number, name);
  if (fd < 0) return {"NO_MEMORY", strerror(errno)};
  size_t written = 0;
  ssize_t n = 0;
  while (written < bytes.size() && (n = write(fd, bytes.data() + written, bytes.size() - written)) > 0) {
    written += static_cast<size_t>(n);
  }
  const int error = errno;
  close(fd);
  return written == bytes.size() ? NativeError{} : NativeError{"NO_MEMORY", strerror(error)};
}

}  // namespace cgoprof
