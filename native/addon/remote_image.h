// An ELF image as it lies in another process's memory: which functions it shows to others, and where; and which image
// is the executable, by which the loader's list is found. It needs no file, so it works for containers and for files
// that were replaced.
//
// The memory is hostile: every number is checked before it is used, and chains are followed for a bounded number of
// steps.
#ifndef CGOPROF_ADDON_REMOTE_IMAGE_H_
#define CGOPROF_ADDON_REMOTE_IMAGE_H_

#include <elf.h>
#include <stdint.h>

#include <optional>
#include <string>
#include <vector>

#include "addon/remote_process.h"
#include "shared/symbol_lookup.h"

namespace cgoprof {

class RemoteImage {
 public:
  // The image whose ELF header lies at `start`; nullopt: there is none with a dynamic symbol table.
  static std::optional<RemoteImage> At(const RemoteProcess& process, const RemoteMapping& first);

  const std::string& path() const { return path_; }
  uint64_t bias() const { return bias_; }  // run-time address - ELF virtual address

  // Its lowest address, and the one past its highest.
  uint64_t start() const { return start_; }
  uint64_t end() const { return end_; }
  bool Contains(uint64_t address) const { return address >= start_ && address < end_; }

  // The loader leaves the addresses there as the file has them.
  bool IsDynamicSectionReadOnly() const { return is_dynamic_section_read_only_; }

  // Run-time address of the loader's r_debug (<link.h>), as the executable has it; 0: there is none.
  uint64_t debug() const { return debug_; }

  // Run-time address of a function that it defines under that name, in its current version; 0: there is none. (Those
  // that are chosen by a resolver, STT_GNU_IFUNC, count as none.)
  uint64_t FindFunction(const std::string& name) const;

 private:
  explicit RemoteImage(const RemoteProcess& process) : process_(&process) {}

  bool ReadHeaders(uint64_t start);
  bool ReadDynamic(uint64_t dynamic, uint64_t bytes);

  const RemoteProcess* process_;
  std::string path_;
  uint64_t start_ = 0;
  uint64_t end_ = 0;
  uint64_t bias_ = 0;
  bool is_dynamic_section_read_only_ = false;
  uint64_t debug_ = 0;
  SymbolTable symbols_ = {};
};

// All images among the mappings, in address order.
std::vector<RemoteImage> FindImages(const RemoteProcess& process, const std::vector<RemoteMapping>& mappings);

// The one that the kernel started: the executable, or the loader where that was run by hand. nullptr: it is not among
// them.
const RemoteImage* FindExecutable(const RemoteProcess& process, const std::vector<RemoteImage>& images);

}  // namespace cgoprof

#endif  // CGOPROF_ADDON_REMOTE_IMAGE_H_
