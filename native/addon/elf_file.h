// One ELF file opened for symbolization, and what identifies it: its build id and its sections.
#ifndef CGOPROF_ADDON_ELF_FILE_H_
#define CGOPROF_ADDON_ELF_FILE_H_

#include <libelf.h>
#include <stdint.h>

#include <memory>
#include <string>
#include <string_view>

#include "addon/input_file.h"

namespace cgoprof {

class ElfFile {
 public:
  // Opens a 64-bit little-endian executable, shared object or debug file. nullptr: *why says, in one clause, why not.
  static std::unique_ptr<ElfFile> Open(const std::string& path, std::string* why);
  ~ElfFile();
  ElfFile(const ElfFile&) = delete;
  ElfFile& operator=(const ElfFile&) = delete;

  const std::string& path() const { return path_; }
  const InputFile& file() const { return file_; }
  Elf* elf() const { return elf_; }

  // GNU build id, lower-case hex; '' when there is none.
  const std::string& build_id() const { return build_id_; }

  // The first section of that name or type; nullptr when there is none.
  Elf_Scn* Section(const char* name) const;
  Elf_Scn* SectionOfType(uint32_t type) const;

  // The content of that section as it is in the file; '' when there is none. Lives as long as this object.
  std::string_view Content(Elf_Scn* section) const;

 private:
  explicit ElfFile(const std::string& path) : path_(path), file_(path.c_str()) {}

  const std::string path_;
  const InputFile file_;
  Elf* elf_ = nullptr;
  std::string build_id_;
};

}  // namespace cgoprof

#endif  // CGOPROF_ADDON_ELF_FILE_H_
