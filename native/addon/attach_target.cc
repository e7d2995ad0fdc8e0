// See attach_target.h.
#include "addon/attach_target.h"

#include <dlfcn.h>
#include <errno.h>
#include <string.h>

#include <algorithm>
#include <initializer_list>

#include "addon/executable_info.h"
#include "addon/overwritten_library.h"
#include "addon/safe_text.h"
#include "shared/attach_mailbox.h"

namespace cgoprof {
namespace {

constexpr char kLibraryName[] = "libcgoprof.so";

// mov $15, %rax; syscall: as libc's and Go's are written. Debuggers know them by it.
constexpr std::string_view kRestorer("\x48\xc7\xc0\x0f\x00\x00\x00\x0f\x05", 9);

bool Contains(const std::string& text, const char* part) { return text.find(part) != std::string::npos; }

bool IsMusl(const std::string& path) {
  const std::string name = FileNameOf(path);
  return Contains(name, "ld-musl-") || Contains(name, "libc.musl-");
}

// glibc's, which nothing else defines.
bool IsLoader(const RemoteImage& image) { return image.FindFunction("_dl_debug_state") != 0; }

NativeError SystemError(int error) {
  if (error == ENOENT || error == ESRCH) return {"GONE", ""};
  if (error == EACCES || error == EPERM) return {"NOT_PERMITTED", strerror(error)};
  return {"EIO", strerror(error)};
}

// The function in a library of that name: libpthread.so.0, or libpthread-2.31.so.
uint64_t FindIn(const std::vector<RemoteImage>& images, const std::string& library, const char* name) {
  for (const RemoteImage& image : images) {
    if (FileNameOf(image.path()).compare(0, library.size(), library) != 0) continue;
    if (const uint64_t address = image.FindFunction(name)) return address;
  }
  return 0;
}

}  // namespace

AttachTarget::AttachTarget(pid_t pid) : process_(pid), identity_(process_.Identity()) {
  safe_points_.is_go = [this](uint64_t pc) { return IsGo(pc); };
  safe_points_.is_restorer = [this](uint64_t pc) { return IsRestorer(pc); };
}

NativeError AttachTarget::Inspect() {
  if (NativeError error = CheckState()) return error;
  if (NativeError error = CheckExecutable()) return error;
  if (NativeError error = FindLibc()) return error;
  if (NativeError error = FindFunctions()) return error;
  if (NativeError error = FindCode()) return error;
  if (NativeError error = FindLibrary()) return error;
  if (NativeError error = CheckLibraries()) return error;
  FindGo();
  return {};
}

NativeError AttachTarget::CheckState() const {
  const pid_t pid = process_.pid();
  const std::string state = process_.StatusField(pid, "State").substr(0, 1);
  if (state.empty()) return {"GONE", ""};
  if (state == "Z" || state == "X") return {"ZOMBIE", ""};
  const std::string tracer = process_.StatusField(pid, "TracerPid");
  if (tracer != "0" && !tracer.empty()) return {"TRACED", tracer};
  if (state == "T") return {"STOPPED", ""};
  if (Contains(process_.StatusField(pid, "x86_Thread_features"), "shstk")) return {"SHADOW_STACK", ""};
  return {};
}

NativeError AttachTarget::CheckExecutable() {
  if (!RefreshMappings()) return SystemError(errno);
  const auto [error, info] = InspectExecutable(("/proc/" + std::to_string(process_.pid()) + "/exe").c_str());
  if (error) return error.code == "ENOENT" ? NativeError{"GONE", ""} : NativeError{"NOT_PERMITTED", error.message};
  if (info.machine != "amd64") return {"MACHINE", info.machine};
  interpreter_ = info.interpreter;
  if (!info.dynamic) return {"STATIC", ""};
  return {};
}

NativeError AttachTarget::FindLibc() {
  images_ = FindImages(process_, safe_points_.mappings);
  const auto is_glibc = [](const RemoteImage& image) { return image.FindFunction("gnu_get_libc_version") != 0; };
  const auto found = std::find_if(images_.begin(), images_.end(), is_glibc);
  if (found != images_.end()) {
    libc_ = &*found;
    return {};
  }
  for (const RemoteMapping& mapping : safe_points_.mappings) {
    if (IsMusl(mapping.path)) return {"MUSL", SafeText(mapping.path)};
  }
  if (IsMusl(interpreter_)) return {"MUSL", interpreter_};
  // Its mappings may be read, its memory may not (ptrace's stricter check), or there is no libc.
  uint64_t word = 0;
  for (const RemoteMapping& mapping : safe_points_.mappings) {
    if (mapping.readable && mapping.inode != 0 && !process_.Read(mapping.start, &word)) return SystemError(errno);
  }
  return {"LIBC", "libc.so.6"};
}

// Before glibc 2.34 some lie in libraries beside libc; without those libc can load libraries all the same.
NativeError AttachTarget::FindFunctions() {
  struct Wanted {
    const char* name;
    const char* library;
    uint64_t* address;
  };
  AttachFunctions* const f = &functions_;
  for (const Wanted& one :
       {Wanted{"pthread_create", "libpthread", &f->pthread_create},
        Wanted{"pthread_detach", "libpthread", &f->pthread_detach}, Wanted{"munmap", "libc", &f->munmap},
        Wanted{"dlopen", "libdl", &f->dlopen}, Wanted{"dlerror", "libdl", &f->dlerror}}) {
    *one.address = libc_->FindFunction(one.name);
    if (*one.address == 0) *one.address = FindIn(images_, one.library, one.name);
  }
  constexpr uint64_t kFromWithinLibc = 0x80000000;
  f->dlopen_flags = RTLD_NOW;
  if (f->dlopen == 0) {
    f->dlopen = libc_->FindFunction("__libc_dlopen_mode");
    f->dlopen_flags |= kFromWithinLibc;
  }
  if (f->pthread_create == 0) return {"LIBC", "pthread_create"};
  if (f->pthread_detach == 0) return {"LIBC", "pthread_detach"};
  if (f->munmap == 0) return {"LIBC", "munmap"};
  if (f->dlopen == 0) return {"LIBC", "dlopen"};
  return {};
}

NativeError AttachTarget::FindCode() {
  constexpr std::string_view kSystemCall("\x0f\x05\xc3", 3);
  constexpr uint64_t kMostTextBytes = 64 << 20;
  for (const RemoteMapping& mapping : safe_points_.mappings) {
    if (!mapping.executable || !libc_->Contains(mapping.start) || mapping.end - mapping.start > kMostTextBytes)
      continue;
    std::string text(mapping.end - mapping.start, '\0');
    if (!process_.ReadMemory(mapping.start, text.data(), text.size())) continue;
    const size_t call = text.find(kSystemCall), restorer = text.find(kRestorer);
    if (call != std::string::npos) code_.system_call = mapping.start + call;
    if (restorer != std::string::npos) code_.restorer = mapping.start + restorer;
  }
  if (code_.system_call == 0) return {"LIBC", "syscall"};
  if (code_.restorer == 0) return {"LIBC", "__restore_rt"};
  return {};
}

// Our own, if it was attached before; and all that defines malloc.
NativeError AttachTarget::FindLibrary() {
  for (const RemoteImage& image : images_) {
    const std::string name = FileNameOf(image.path());
    if (name == kLibraryName || image.path() == std::string("/memfd:") + kLibraryName) {
      functions_.run = image.FindFunction(kAttachRunName);
      if (functions_.run == 0) return {"LIBRARY_VERSION", SafeText(image.path())};
      continue;
    }
    // Threads must be known to those before they run any code.
    for (const char* sanitizer : {"__tsan_init", "__msan_init"}) {
      if (image.FindFunction(sanitizer) != 0) return {"SANITIZER", sanitizer};
    }
    const AddressRange range = {image.start(), image.end()};
    if (&image == libc_)
      safe_points_.libc = range;
    else if (IsLoader(image))
      safe_points_.loader = range;
    else if (image.FindFunction("malloc") != 0 && image.FindFunction("free") != 0)
      safe_points_.other_allocators.push_back(range);
  }
  return {};
}

// Only where ours is yet to be loaded: then the loader looks at all of them.
NativeError AttachTarget::CheckLibraries() const {
  if (functions_.run != 0) return {};
  const RemoteImage* const executable = FindExecutable(process_, images_);
  const std::string overwritten = executable != nullptr ? FindOverwrittenLibrary(process_, *executable) : "";
  return overwritten.empty() ? NativeError{} : NativeError{"OVERWRITTEN", SafeText(overwritten)};
}

// A program whose Go tables cannot be read has its C threads.
void AttachTarget::FindGo() {
  const RemoteImage* const image = FindExecutable(process_, images_);
  executable_bias_ = image != nullptr ? image->bias() : 0;
  const std::string path = "/proc/" + std::to_string(process_.pid()) + "/exe";
  std::string ignored;
  executable_ = ElfFile::Open(path, &ignored);
  if (executable_ != nullptr && IsGoImage(*executable_)) go_ = GoPclntab::Open(*executable_, &ignored);
}

bool AttachTarget::RefreshMappings() {
  const auto maps = process_.ReadFile("maps");
  if (!maps) return false;
  safe_points_.mappings = ParseMappings(*maps);
  safe_points_.code.clear();
  for (const RemoteMapping& mapping : safe_points_.mappings) {
    if (mapping.executable) safe_points_.code.push_back({mapping.start, mapping.end});
  }
  return true;
}

bool AttachTarget::IsRestorer(uint64_t pc) const {
  char bytes[kRestorer.size()];
  return process_.ReadMemory(pc, bytes, sizeof(bytes)) && std::string_view(bytes, sizeof(bytes)) == kRestorer;
}

bool AttachTarget::IsGo(uint64_t pc) {
  return go_ != nullptr && go_->Lookup(pc - executable_bias_ - 1).kind == GoLocation::kGo;
}

}  // namespace cgoprof
