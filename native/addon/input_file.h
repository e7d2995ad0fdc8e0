// A regular file that somebody else may be changing, cutting short or have made up: read by copying, never by mapping,
// because a mapped page that the file no longer has kills the reader with SIGBUS.
#ifndef CGOPROF_ADDON_INPUT_FILE_H_
#define CGOPROF_ADDON_INPUT_FILE_H_

#include <stddef.h>
#include <stdint.h>

#include "addon/native_error.h"

namespace cgoprof {

class InputFile {
 public:
  // Opens `path` without ever waiting (a FIFO is refused, not waited for). Failure is told by error().
  explicit InputFile(const char* path);
  ~InputFile();
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;

  // Why the file could not be opened: ENOENT, EACCES or EIO. The other members need an open file.
  const NativeError& error() const { return error_; }

  // Bytes when it was opened.
  uint64_t size() const { return size_; }
  int fd() const { return fd_; }

  // Copies up to `bytes` bytes from `offset`; returns how many, fewer only where the file ends or reading fails.
  size_t ReadUpTo(uint64_t offset, void* out, size_t bytes) const;

  // The same, all or nothing.
  bool Read(uint64_t offset, void* out, size_t bytes) const { return ReadUpTo(offset, out, bytes) == bytes; }

 private:
  int fd_ = -1;
  uint64_t size_ = 0;
  NativeError error_;
};

}  // namespace cgoprof

#endif  // CGOPROF_ADDON_INPUT_FILE_H_
