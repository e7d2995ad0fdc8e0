// Another process as /proc and process_vm_readv show it: its mappings, threads and memory. Nothing here stops or
// changes it, but for WriteMemory.
//
// What it says is hostile: texts are bounded, and numbers that make no sense are left out.
#ifndef CGOPROF_ADDON_REMOTE_PROCESS_H_
#define CGOPROF_ADDON_REMOTE_PROCESS_H_

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

namespace cgoprof {

// A line of /proc/PID/maps.
struct RemoteMapping {
  uint64_t start = 0;
  uint64_t end = 0;
  uint64_t offset = 0;  // in the file
  uint64_t inode = 0;   // 0: no file
  bool readable = false;
  bool writable = false;
  bool executable = false;
  std::string path;  // as the process sees it, without " (deleted)"

  bool Contains(uint64_t address) const { return address >= start && address < end; }
};

// Where a thread waits: /proc/PID/task/TID/syscall.
struct ParkedCall {
  int64_t number = -1;
  uint64_t arguments[6] = {};
  uint64_t sp = 0;
  uint64_t pc = 0;
};

class RemoteProcess {
 public:
  // Most bytes of one file of /proc that are looked at: maps of a process with 65,530 mappings, the kernel's limit.
  static constexpr size_t kMostProcBytes = size_t{32} << 20;

  explicit RemoteProcess(pid_t pid) : pid_(pid) {}

  pid_t pid() const { return pid_; }

  // /proc/PID/NAME; nullopt when it cannot be read. errno says why.
  std::optional<std::string> ReadFile(const std::string& name) const;

  // In address order; empty when they cannot be read, or are gone because the process is.
  std::vector<RemoteMapping> Mappings() const;

  std::vector<pid_t> Threads() const;

  // Waits in the kernel, and can be woken: state S, proc(5). Neither runs nor waits for a disk.
  bool IsSleeping(pid_t tid) const;

  // nullopt where the thread runs, is gone, or may not be looked at.
  std::optional<ParkedCall> Parked(pid_t tid) const;

  // The value of a field of /proc/PID/task/TID/status, without blanks around it; '' when there is none.
  std::string StatusField(pid_t tid, const std::string& field) const;

  // Start time, and where code and stack lie (fields 22 and 26 to 28 of stat): differs after an exec. '' once it is
  // gone.
  std::string Identity() const;

  // All or nothing.
  bool ReadMemory(uint64_t address, void* out, size_t bytes) const;
  bool WriteMemory(uint64_t address, const void* in, size_t bytes) const;

  template <typename Value>
  bool Read(uint64_t address, Value* value) const {
    return ReadMemory(address, value, sizeof(*value));
  }

 private:
  const pid_t pid_;
};

std::vector<RemoteMapping> ParseMappings(const std::string& maps);
std::optional<ParkedCall> ParseParkedCall(const std::string& text);

// The mapping that holds `address`; nullptr: none does.
const RemoteMapping* FindMapping(const std::vector<RemoteMapping>& mappings, uint64_t address);

// The last part of a path.
std::string FileNameOf(const std::string& path);

}  // namespace cgoprof

#endif  // CGOPROF_ADDON_REMOTE_PROCESS_H_
