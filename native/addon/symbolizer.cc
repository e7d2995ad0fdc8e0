// See symbolizer.h.
#include "addon/symbolizer.h"

#include <stddef.h>
#include <stdlib.h>

#include <algorithm>
#include <memory>
#include <numeric>
#include <optional>

#include "addon/elf_file.h"
#include "addon/go_pclntab.h"
#include "addon/native_symbols.h"
#include "addon/safe_text.h"

namespace cgoprof {
namespace {

// Text of one answer. Made-up files could name every address with the same long names many times over.
constexpr size_t kMaxResultBytes = size_t{256} << 20;

std::unique_ptr<ElfFile> OpenImage(const SymbolizeRequest& request, std::string* warning) {
  const std::string wanted = request.build_id.empty() ? "" : " with build id " + request.build_id.substr(0, 12) + "…";
  std::string reason = "no path is known";
  bool replaced = false;
  for (const std::string& path : request.files) {
    std::string why;
    std::unique_ptr<ElfFile> file = ElfFile::Open(path, &why);
    if (file && (request.build_id.empty() || file->build_id() == request.build_id)) return file;
    // That another build is there says more than that other candidates are not.
    if (!replaced) reason.assign(path).append(file ? " was replaced?" : ": ").append(why);
    replaced = replaced || file;
  }
  *warning = "no file" + wanted + " found (" + SafeText(reason) + ")";
  return nullptr;
}

// Without the /proc/PID/root through which we see the files of a process in a container.
std::string AsItsProcessSees(const std::string& path) {
  constexpr char kProc[] = "/proc/";
  constexpr char kRoot[] = "/root/";
  if (path.compare(0, sizeof(kProc) - 1, kProc) != 0) return path;
  const size_t digits_end = path.find_first_not_of("0123456789", sizeof(kProc) - 1);
  if (digits_end == std::string::npos || path.compare(digits_end, sizeof(kRoot) - 1, kRoot) != 0) return path;
  return path.substr(digits_end + sizeof(kRoot) - 2);
}

// Where .gnu_debuglink may be relative to: the candidates' directories, and the true one behind symbolic links.
std::vector<std::string> ImageDirectories(const std::vector<std::string>& files, const std::string& image) {
  std::vector<std::string> paths = files;
  const std::unique_ptr<char, decltype(&free)> real(realpath(image.c_str(), nullptr), &free);
  if (real) paths.push_back(real.get());
  std::vector<std::string> directories;
  for (const std::string& path : paths) {
    std::string seen = AsItsProcessSees(path);
    seen.resize(std::min(seen.rfind('/'), seen.size()));
    if (!seen.empty() && std::find(directories.begin(), directories.end(), seen) == directories.end()) {
      directories.push_back(std::move(seen));
    }
  }
  return directories;
}

// Both kinds of symbols of one image. What is not asked for is not read: a Go program's DWARF is large.
class ImageSymbols {
 public:
  ImageSymbols(const ElfFile& image, const SymbolizeRequest& request)
      : image_(image), request_(request), go_(GoPclntab::Open(image, &go_problem_)) {}

  std::vector<SourceLine> Lookup(uint64_t address, bool* is_go) {
    GoLocation location;
    if (go_) location = go_->Lookup(address);
    *is_go = location.kind == GoLocation::kGo;
    if (*is_go) return std::move(location.lines);
    if (!native_) native_.emplace(image_, request_.debug_roots, ImageDirectories(request_.files, image_.path()));
    std::vector<SourceLine> lines = native_->Lookup(address);
    return lines.empty() ? std::move(location.lines) : lines;
  }

  // Why addresses may have no lines.
  std::string Problem() const {
    if (!go_problem_.empty()) return go_problem_;
    return native_ ? native_->problem() : "";
  }

 private:
  const ElfFile& image_;
  const SymbolizeRequest& request_;
  std::string go_problem_;
  std::unique_ptr<GoPclntab> go_;
  std::optional<NativeSymbols> native_;
};

// Fields of `line` made safe; returns their bytes.
size_t Clean(SourceLine* line) {
  size_t bytes = 0;
  for (std::string* text : {&line->name, &line->system_name, &line->file}) {
    *text = SafeText(*text);
    bytes += text->size();
  }
  return bytes;
}

// Neighbours share units, functions and line tables.
std::vector<size_t> OrderByAddress(const std::vector<uint64_t>& addresses) {
  std::vector<size_t> order(addresses.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return addresses[a] < addresses[b]; });
  return order;
}

}  // namespace

SymbolizeResult SymbolizeModule(const SymbolizeRequest& request) {
  SymbolizeResult result;
  result.lines.resize(request.addresses.size());
  result.is_go.resize(request.addresses.size());
  const std::unique_ptr<ElfFile> image = OpenImage(request, &result.warning);
  if (!image) return result;
  result.file = image->path();
  ImageSymbols symbols(*image, request);
  size_t bytes = 0;
  size_t unknown = 0;
  for (const size_t i : OrderByAddress(request.addresses)) {
    bool is_go = false;
    if (bytes <= kMaxResultBytes) result.lines[i] = symbols.Lookup(request.addresses[i], &is_go);
    for (SourceLine& line : result.lines[i]) bytes += Clean(&line);
    result.is_go[i] = is_go ? 1 : 0;
    if (result.lines[i].empty() && !is_go) ++unknown;
  }
  if (unknown > 0) {
    const std::string problem = bytes > kMaxResultBytes ? "its symbols are absurdly large" : symbols.Problem();
    result.warning = std::to_string(unknown) + " of " + std::to_string(request.addresses.size()) +
                     " addresses have no symbol" + (problem.empty() ? "" : ": " + SafeText(problem));
  }
  return result;
}

}  // namespace cgoprof
