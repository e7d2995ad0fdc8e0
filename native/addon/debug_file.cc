// See debug_file.h. Formats: the GDB manual, "Debugging Information in Separate Files", and the DWARF extension
// .gnu_debugaltlink.
#include "addon/debug_file.h"

#include <stdint.h>

#include <array>
#include <string_view>

#include "addon/byte_reader.h"
#include "addon/safe_text.h"

namespace cgoprof {
namespace {

constexpr std::string_view kDefaultRoot = "/usr/lib/debug";

std::string BuildIdPath(const std::string& root, const std::string& build_id) {
  return root + "/.build-id/" + build_id.substr(0, 2) + "/" + build_id.substr(2) + ".debug";
}

// The CRC-32 of IEEE 802.3, which .gnu_debuglink uses.
uint32_t Crc32(const InputFile& file) {
  static const std::array<uint32_t, 256> table = [] {
    std::array<uint32_t, 256> entries;
    for (uint32_t i = 0; i < entries.size(); ++i) {
      uint32_t entry = i;
      for (int bit = 0; bit < 8; ++bit) entry = (entry >> 1) ^ (entry & 1 ? 0xedb88320u : 0);
      entries[i] = entry;
    }
    return entries;
  }();
  uint32_t crc = 0xffffffff;
  std::string block(1 << 20, '\0');
  for (uint64_t offset = 0; offset < file.size();) {
    const size_t got = file.ReadUpTo(offset, block.data(), block.size());
    if (got == 0) break;
    for (size_t i = 0; i < got; ++i) crc = (crc >> 8) ^ table[(crc ^ static_cast<uint8_t>(block[i])) & 0xff];
    offset += got;
  }
  return ~crc;
}

struct DebugLink {
  std::string name;
  uint32_t crc = 0;
};

DebugLink ReadDebugLink(const ElfFile& image) {
  const std::string_view content = image.Content(image.Section(".gnu_debuglink"));
  DebugLink link;
  link.name = TextAt(content, 0);
  const uint64_t crc_offset = (link.name.size() + 1 + 3) / 4 * 4;
  // A name, not a path: it is joined to directories of ours.
  if (link.name.find('/') != std::string::npos || !ReadAt(content, crc_offset, &link.crc)) return {};
  return link;
}

std::unique_ptr<ElfFile> OpenWithBuildId(const std::string& path, const std::string& build_id) {
  std::string ignored;
  std::unique_ptr<ElfFile> file = ElfFile::Open(path, &ignored);
  return file && file->build_id() == build_id ? std::move(file) : nullptr;
}

std::string DirectoryOf(const std::string& path) { return path.substr(0, path.rfind('/') + 1); }

std::vector<std::string> DebugLinkPaths(const std::string& name, const ElfFile& image,
                                        const std::vector<std::string>& debug_roots,
                                        const std::vector<std::string>& directories) {
  const std::string here = DirectoryOf(image.path());
  std::vector<std::string> paths = {here + name, here + ".debug/" + name};
  for (const std::string& root : debug_roots) {
    for (const std::string& directory : directories) {
      paths.push_back(root);
      paths.back().append(directory).append("/").append(name);
    }
  }
  return paths;
}

}  // namespace

std::unique_ptr<ElfFile> FindDebugFile(const ElfFile& image, const std::vector<std::string>& debug_roots,
                                       const std::vector<std::string>& directories, std::string* why) {
  const std::string& build_id = image.build_id();
  if (build_id.size() > 2) {
    for (const std::string& root : debug_roots) {
      if (auto file = OpenWithBuildId(BuildIdPath(root, build_id), build_id)) return file;
    }
  }
  const DebugLink link = ReadDebugLink(image);
  if (link.name.empty()) return nullptr;
  for (const std::string& path : DebugLinkPaths(link.name, image, debug_roots, directories)) {
    std::string ignored;
    std::unique_ptr<ElfFile> file = ElfFile::Open(path, &ignored);
    if (!file || path == image.path()) continue;
    const bool same_build =
        !build_id.empty() && !file->build_id().empty() ? file->build_id() == build_id : Crc32(file->file()) == link.crc;
    if (same_build) return file;
    *why = "the debug file " + path + " belongs to another build";
  }
  return nullptr;
}

std::unique_ptr<ElfFile> FindSharedDebugFile(const ElfFile& debug_file, const std::vector<std::string>& debug_roots) {
  const std::string_view content = debug_file.Content(debug_file.Section(".gnu_debugaltlink"));
  const std::string name(TextAt(content, 0));
  if (name.empty() || content.size() < name.size() + 2) return nullptr;
  const std::string build_id = Hex(content.substr(name.size() + 1));
  std::vector<std::string> paths = {name[0] == '/' ? name : DirectoryOf(debug_file.path()) + name};
  for (const std::string& root : debug_roots) {
    paths.push_back(BuildIdPath(root, build_id));
    // Named for the usual root, while ours may be a container's.
    if (name.compare(0, kDefaultRoot.size(), kDefaultRoot) == 0)
      paths.push_back(root + name.substr(kDefaultRoot.size()));
  }
  for (const std::string& path : paths) {
    if (auto file = OpenWithBuildId(path, build_id)) return file;
  }
  return nullptr;
}

}  // namespace cgoprof
