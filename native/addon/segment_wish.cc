// See segment_wish.h.
#include "addon/segment_wish.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>
#include <system_error>

namespace cgoprof {
namespace {

NativeError SystemError(int number) {
  if (number == ENOENT) return {"ENOENT", "no such file"};
  if (number == EACCES || number == EPERM) return {"EACCES", "not allowed to write it"};
  return {"EIO", std::generic_category().message(number)};
}

// A link could lead to somebody else's segment. The kernel's own names of mapped files are links as well.
int FlagsFor(const char* path) {
  const bool is_mapped_file = strstr(path, "/map_files/") != nullptr;
  return O_RDWR | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | (is_mapped_file ? 0 : O_NOFOLLOW);
}

class OpenFile {
 public:
  explicit OpenFile(const char* path) : fd_(open(path, FlagsFor(path))) {}
  ~OpenFile() {
    if (fd_ >= 0) close(fd_);
  }
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;
  int fd() const { return fd_; }

 private:
  const int fd_;
};

NativeError CheckKnowsWishes(const Header& header) {
  constexpr size_t kWishEnd = offsetof(Header, wish) + sizeof(Header::wish);
  if (memcmp(header.magic, kMagic, sizeof(kMagic)) != 0) return {"NOT_A_SEGMENT", "not a cgoprof segment"};
  if (header.abi_major != kAbiMajor || header.abi_minor < 1) {
    return {"SEGMENT_VERSION", "segment version " + std::to_string(header.abi_major) + "." +
                                   std::to_string(header.abi_minor) + ", whose writer takes no wishes"};
  }
  if (header.state == kStateStarting) return {"SEGMENT_STARTING", "its process has not finished setting it up"};
  if (header.header_bytes < kWishEnd) {
    return {"SEGMENT_DAMAGED", "damaged segment: a header of " + std::to_string(header.header_bytes) + " bytes"};
  }
  return {};
}

}  // namespace

NativeError SetSegmentWish(const char* path, SegmentWish wish) {
  const OpenFile file(path);
  struct stat status;
  if (file.fd() < 0 || fstat(file.fd(), &status) != 0) return SystemError(errno);
  if (!S_ISREG(status.st_mode)) return {"EIO", "not a regular file"};
  Header header = {};
  const ssize_t got = pread(file.fd(), &header, sizeof(header), 0);
  if (got < 0) return SystemError(errno);
  if (static_cast<size_t>(got) < sizeof(header)) return {"NOT_A_SEGMENT", "not a cgoprof segment"};
  if (NativeError error = CheckKnowsWishes(header)) return error;
  const uint32_t value = wish;
  const ssize_t put = pwrite(file.fd(), &value, sizeof(value), offsetof(Header, wish));
  return put == sizeof(value) ? NativeError() : SystemError(put < 0 ? errno : EIO);
}

}  // namespace cgoprof
