// See input_file.h.
#include "addon/input_file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <limits>
#include <system_error>

namespace cgoprof {
namespace {

NativeError SystemError(int number) {
  switch (number) {
    case ENOENT:
      return {"ENOENT", "no such file"};
    case EACCES:
    case EPERM:
      return {"EACCES", "not allowed to read it"};
    default:
      return {"EIO", std::generic_category().message(number)};
  }
}

}  // namespace

InputFile::InputFile(const char* path) : fd_(open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)) {
  struct stat status;
  if (fd_ < 0 || fstat(fd_, &status) != 0) {
    error_ = SystemError(errno);
  } else if (S_ISDIR(status.st_mode)) {
    error_ = SystemError(EISDIR);
  } else if (!S_ISREG(status.st_mode)) {
    error_ = {"EIO", "not a regular file"};
  } else {
    size_ = static_cast<uint64_t>(status.st_size);
  }
}

InputFile::~InputFile() {
  if (fd_ >= 0) close(fd_);
}

size_t InputFile::ReadUpTo(uint64_t offset, void* out, size_t bytes) const {
  constexpr uint64_t kMaxOffset = std::numeric_limits<off_t>::max();
  size_t done = 0;
  while (done < bytes && offset <= kMaxOffset - done) {
    const ssize_t got = pread(fd_, static_cast<char*>(out) + done, bytes - done, static_cast<off_t>(offset + done));
    if (got > 0) {
      done += static_cast<size_t>(got);
    } else if (got == 0 || errno != EINTR) {
      break;
    }
  }
  return done;
}

}  // namespace cgoprof
