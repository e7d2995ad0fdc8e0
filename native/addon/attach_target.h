// What attaching must know of a process before it stops anything there: whether it can be done at all, where libc's
// functions lie, and which threads may be used.
#ifndef CGOPROF_ADDON_ATTACH_TARGET_H_
#define CGOPROF_ADDON_ATTACH_TARGET_H_

#include <stdint.h>

#include <memory>
#include <string>

#include "addon/borrowed_thread.h"
#include "addon/elf_file.h"
#include "addon/go_pclntab.h"
#include "addon/native_error.h"
#include "addon/remote_image.h"
#include "addon/remote_process.h"
#include "addon/safe_point.h"

namespace cgoprof {

// Addresses in the target.
struct AttachFunctions {
  uint64_t pthread_create = 0;
  uint64_t pthread_detach = 0;
  uint64_t munmap = 0;
  uint64_t dlopen = 0;
  uint64_t dlerror = 0;  // 0: there is none
  uint64_t dlopen_flags = 0;
  uint64_t run = 0;  // AttachRun; 0: the library is not loaded
};

class AttachTarget {
 public:
  explicit AttachTarget(pid_t pid);
  AttachTarget(const AttachTarget&) = delete;
  AttachTarget& operator=(const AttachTarget&) = delete;

  // Finds out all of the above. An AttachErrorCode and its detail, or no error.
  NativeError Inspect();

  const RemoteProcess& process() const { return process_; }
  const AttachFunctions& functions() const { return functions_; }
  const BorrowedCode& code() const { return code_; }
  const SafePoints& safe_points() const { return safe_points_; }

  // Reads the mappings again: threads that were started since have their stacks in them. False: they cannot be read,
  // errno says why, and those that are known stay.
  bool RefreshMappings();

  // Still the program that it was when this was made, not another one that it executed meanwhile.
  bool IsSame() const { return process_.Identity() == identity_; }

 private:
  NativeError CheckState() const;
  NativeError CheckExecutable();
  NativeError FindLibc();
  NativeError FindFunctions();
  NativeError FindCode();
  NativeError FindLibrary();
  NativeError CheckLibraries() const;
  void FindGo();
  bool IsGo(uint64_t pc);
  bool IsRestorer(uint64_t pc) const;

  const RemoteProcess process_;
  const std::string identity_;
  std::string interpreter_;
  std::vector<RemoteImage> images_;
  const RemoteImage* libc_ = nullptr;
  AttachFunctions functions_;
  BorrowedCode code_;
  SafePoints safe_points_;
  std::unique_ptr<ElfFile> executable_;
  std::unique_ptr<GoPclntab> go_;
  uint64_t executable_bias_ = 0;
};

}  // namespace cgoprof

#endif  // CGOPROF_ADDON_ATTACH_TARGET_H_
