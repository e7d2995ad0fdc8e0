// See executable_info.h.
#include "addon/executable_info.h"

#include <elf.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/xattr.h>

#include <algorithm>
#include <string_view>
#include <vector>

#include "addon/input_file.h"
#include "addon/safe_text.h"

namespace cgoprof {
namespace {

constexpr size_t kMaxProgramHeaders = 1024;  // linkers write about ten
constexpr size_t kMaxSections = 1024;        // about forty
constexpr size_t kMaxSectionNameBytes = 64 << 10;
constexpr size_t kMaxDynamicSymbols = 1 << 20;  // a large program that exports all of its functions has 300,000
constexpr size_t kMaxDynamicNameBytes = 64 << 20;
constexpr size_t kMaxInterpreterBytes = 4096;
constexpr size_t kMaxNoteBytes = 64 << 10;
constexpr size_t kMaxScriptLine = 256;  // BINPRM_BUF_SIZE: how far the kernel looks

constexpr std::string_view kGoNoteName("Go\0\0", 4);
constexpr uint32_t kGoBuildIdNote = 4;

std::string ReadSome(const InputFile& file, uint64_t offset, uint64_t bytes, size_t limit) {
  std::string text(std::min({bytes, uint64_t{limit}, file.size()}), '\0');
  text.resize(file.ReadUpTo(offset, text.data(), text.size()));
  return text;
}

std::string MachineName(const Elf64_Ehdr& header) {
  const bool little = header.e_ident[EI_DATA] != ELFDATA2MSB;
  const bool wide = header.e_ident[EI_CLASS] == ELFCLASS64;
  if (little && wide && header.e_machine == EM_X86_64) return "amd64";
  if (little && wide && header.e_machine == EM_AARCH64) return "arm64";
  return std::to_string(little ? header.e_machine : __builtin_bswap16(header.e_machine));
}

uint64_t AlignUp(uint64_t value, uint64_t alignment) { return (value + alignment - 1) & ~(alignment - 1); }

// `notes`: the content of a PT_NOTE segment, whose p_align is `alignment`.
bool HasGoNote(std::string_view notes, uint64_t alignment) {
  Elf64_Nhdr note;
  while (notes.size() >= sizeof(note)) {
    memcpy(&note, notes.data(), sizeof(note));
    if (note.n_type == kGoBuildIdNote && note.n_namesz == kGoNoteName.size() &&
        notes.substr(sizeof(note), kGoNoteName.size()) == kGoNoteName) {
      return true;
    }
    // Cannot overflow: both sizes have 32 bits.
    const uint64_t description = AlignUp(sizeof(note) + uint64_t{note.n_namesz}, alignment);
    const uint64_t next = AlignUp(description + note.n_descsz, alignment);
    if (next > notes.size()) return false;
    notes.remove_prefix(next);
  }
  return false;
}

std::vector<Elf64_Phdr> ReadProgramHeaders(const InputFile& file, const Elf64_Ehdr& header) {
  std::vector<Elf64_Phdr> segments;
  if (header.e_phentsize != sizeof(Elf64_Phdr)) return segments;
  segments.resize(std::min<size_t>(header.e_phnum, kMaxProgramHeaders));
  const size_t got = file.ReadUpTo(header.e_phoff, segments.data(), segments.size() * sizeof(Elf64_Phdr));
  segments.resize(got / sizeof(Elf64_Phdr));
  return segments;
}

std::vector<Elf64_Shdr> ReadSections(const InputFile& file, const Elf64_Ehdr& header) {
  std::vector<Elf64_Shdr> sections;
  if (header.e_shentsize != sizeof(Elf64_Shdr)) return sections;
  sections.resize(std::min<size_t>(header.e_shnum, kMaxSections));
  const size_t got = file.ReadUpTo(header.e_shoff, sections.data(), sections.size() * sizeof(Elf64_Shdr));
  sections.resize(got / sizeof(Elf64_Shdr));
  return sections;
}

// A Go program linked with -ldflags=-buildid= has no note, but it keeps the section that `go version` reads.
bool HasGoBuildInfo(const InputFile& file, const std::vector<Elf64_Shdr>& sections, size_t names_index) {
  constexpr std::string_view kName(".go.buildinfo\0", 14);
  if (names_index >= sections.size()) return false;
  const Elf64_Shdr& strings = sections[names_index];
  const std::string names = ReadSome(file, strings.sh_offset, strings.sh_size, kMaxSectionNameBytes);
  return std::any_of(sections.begin(), sections.end(), [&](const Elf64_Shdr& section) {
    return section.sh_name < names.size() && names.compare(section.sh_name, kName.size(), kName) == 0;
  });
}

bool Defines(const Elf64_Sym& symbol, const std::string& names, std::string_view name_with_nul) {
  // Without a size it is not a definition, but the address of a PLT entry that is shown for comparison.
  return symbol.st_shndx != SHN_UNDEF && symbol.st_size != 0 && symbol.st_name < names.size() &&
         names.compare(symbol.st_name, name_with_nul.size(), name_with_nul) == 0;
}

bool HasOwnMalloc(const InputFile& file, const std::vector<Elf64_Shdr>& sections) {
  constexpr std::string_view kMalloc("malloc\0", 7), kUsableSize("malloc_usable_size\0", 19);
  const auto table = std::find_if(sections.begin(), sections.end(),
                                  [](const Elf64_Shdr& section) { return section.sh_type == SHT_DYNSYM; });
  if (table == sections.end() || table->sh_link >= sections.size()) return false;
  const Elf64_Shdr& strings = sections[table->sh_link];
  const std::string names = ReadSome(file, strings.sh_offset, strings.sh_size, kMaxDynamicNameBytes);
  const std::string symbols = ReadSome(file, table->sh_offset, table->sh_size, kMaxDynamicSymbols * sizeof(Elf64_Sym));
  bool has_malloc = false, has_usable_size = false;
  for (size_t at = 0; at + sizeof(Elf64_Sym) <= symbols.size(); at += sizeof(Elf64_Sym)) {
    Elf64_Sym symbol;
    memcpy(&symbol, symbols.data() + at, sizeof(symbol));
    has_malloc = has_malloc || Defines(symbol, names, kMalloc);
    has_usable_size = has_usable_size || Defines(symbol, names, kUsableSize);
  }
  return has_malloc && has_usable_size;
}

void InspectElf(const InputFile& file, const Elf64_Ehdr& header, ExecutableInfo* info) {
  info->format = ExecutableFormat::kElf;
  info->machine = MachineName(header);
  if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_ident[EI_DATA] != ELFDATA2LSB) return;
  for (const Elf64_Phdr& segment : ReadProgramHeaders(file, header)) {
    if (segment.p_type == PT_INTERP) {
      const std::string path = ReadSome(file, segment.p_offset, segment.p_filesz, kMaxInterpreterBytes);
      info->dynamic = true;
      info->interpreter = SafeText(path.c_str());  // up to its NUL
    } else if (segment.p_type == PT_NOTE && !info->is_go) {
      const std::string notes = ReadSome(file, segment.p_offset, segment.p_filesz, kMaxNoteBytes);
      info->is_go = HasGoNote(notes, segment.p_align == 8 ? 8 : 4);
    }
  }
  const std::vector<Elf64_Shdr> sections = ReadSections(file, header);
  info->is_go = info->is_go || HasGoBuildInfo(file, sections, header.e_shstrndx);
  info->has_own_malloc = HasOwnMalloc(file, sections);
}

// `line`: the file's first bytes, "#!" included. Splits it as the kernel does (fs/binfmt_script.c).
std::string ScriptInterpreter(std::string_view line) {
  constexpr std::string_view kBlank = " \t";
  line = line.substr(2, line.find('\n') - 2);
  line.remove_prefix(std::min(line.find_first_not_of(kBlank), line.size()));
  line = line.substr(0, line.find_first_of(kBlank));
  return SafeText(line.substr(0, line.find('\0')));
}

}  // namespace

ExecutableInfoResult InspectExecutable(const char* path) {
  ExecutableInfoResult result;
  ExecutableInfo* info = &result.info;
  const InputFile file(path);
  if (file.error()) {
    result.error = file.error();
    return result;
  }
  const std::string start = ReadSome(file, 0, file.size(), kMaxScriptLine);
  Elf64_Ehdr header = {};
  memcpy(&header, start.data(), std::min(start.size(), sizeof(header)));
  if (memcmp(header.e_ident, ELFMAG, SELFMAG) == 0) {
    InspectElf(file, header, info);
  } else if (start.substr(0, 2) == "#!") {
    info->format = ExecutableFormat::kScript;
    info->interpreter = ScriptInterpreter(start);
  }
  info->has_capabilities = fgetxattr(file.fd(), "security.capability", nullptr, 0) > 0;
  return result;
}

}  // namespace cgoprof
