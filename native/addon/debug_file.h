// Separate debug files: where distributions and build systems put the DWARF that they strip from an image.
#ifndef CGOPROF_ADDON_DEBUG_FILE_H_
#define CGOPROF_ADDON_DEBUG_FILE_H_

#include <memory>
#include <string>
#include <vector>

#include "addon/elf_file.h"

namespace cgoprof {

// The debug file of `image`: ROOT/.build-id/xx/yyyy.debug, or what its .gnu_debuglink names, in its own directory, in
// .debug under it, and in ROOT/<directory>. `directories` are those that the image may have been loaded from, as its
// process saw them. A file counts if it has the image's build id or, where that has none, the link's CRC. nullptr when
// there is none; *why gets a clause if a file was there but is another build's.
std::unique_ptr<ElfFile> FindDebugFile(const ElfFile& image, const std::vector<std::string>& debug_roots,
                                       const std::vector<std::string>& directories, std::string* why);

// The file that dwz moved what `debug_file` shares with others to (.gnu_debugaltlink). nullptr when there is none.
std::unique_ptr<ElfFile> FindSharedDebugFile(const ElfFile& debug_file, const std::vector<std::string>& debug_roots);

}  // namespace cgoprof

#endif  // CGOPROF_ADDON_DEBUG_FILE_H_
