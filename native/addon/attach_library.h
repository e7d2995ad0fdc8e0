// libcgoprof.so as it is carried into another process: its bytes, and where in them the two functions lie at which a
// thread can be started (shared/attach_mailbox.h).
#ifndef CGOPROF_ADDON_ATTACH_LIBRARY_H_
#define CGOPROF_ADDON_ATTACH_LIBRARY_H_

#include <stdint.h>

#include <optional>
#include <string>

namespace cgoprof {

struct AttachLibrary {
  std::string bytes;  // all that the loader needs: up to the end of the last segment, without debug information
  // AttachLoad's section: whole pages of the file that hold it, and the function within them.
  uint64_t load_pages_offset = 0;
  uint64_t load_pages_bytes = 0;
  uint64_t load_entry = 0;  // from the first of these pages on
  uint64_t run_offset = 0;  // AttachRun's ELF virtual address
};

// nullopt: *why says, in one clause, why that file will not do.
std::optional<AttachLibrary> ReadAttachLibrary(const std::string& path, std::string* why);

}  // namespace cgoprof

#endif  // CGOPROF_ADDON_ATTACH_LIBRARY_H_
