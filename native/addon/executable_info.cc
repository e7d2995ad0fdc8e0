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
constexpr size_t kMaxSymbols = 1 << 20;  // a large program has 300,000
constexpr size_t kMaxNameBytes = 64 << 20;
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

// Functions by which an allocator is told, one bit each.
enum SymbolSet : unsigned { kMalloc = 1, kFree = 2, kUsableSize = 4, kDlsym = 8, kLibcMalloc = 16 };

unsigned SetOf(const std::string& names, size_t offset) {
  constexpr struct {
    std::string_view name_with_nul;
    SymbolSet set;
  } kFunctions[] = {{{"malloc\0", 7}, kMalloc},
                    {{"free\0", 5}, kFree},
                    {{"malloc_usable_size\0", 19}, kUsableSize},
                    {{"dlsym\0", 6}, kDlsym},
                    {{"__libc_malloc\0", 14}, kLibcMalloc}};
  if (offset >= names.size()) return 0;
  for (const auto& [name, set] : kFunctions) {
    if (names.compare(offset, name.size(), name) == 0) return set;
  }
  return 0;
}

bool IsHiddenFunction(const Elf64_Sym& symbol) {
  const unsigned visibility = ELF64_ST_VISIBILITY(symbol.st_other);
  const bool hidden =
      ELF64_ST_BIND(symbol.st_info) == STB_LOCAL || visibility == STV_HIDDEN || visibility == STV_INTERNAL;
  return hidden && ELF64_ST_TYPE(symbol.st_info) == STT_FUNC;
}

struct Symbols {
  unsigned imported = 0, exported = 0, hidden = 0;  // SymbolSet
};

// What the table of that type, SHT_DYNSYM or SHT_SYMTAB, has of them.
Symbols ReadSymbols(const InputFile& file, const std::vector<Elf64_Shdr>& sections, uint32_t type) {
  Symbols found;
  const auto table = std::find_if(sections.begin(), sections.end(),
                                  [type](const Elf64_Shdr& section) { return section.sh_type == type; });
  if (table == sections.end() || table->sh_link >= sections.size()) return found;
  const Elf64_Shdr& strings = sections[table->sh_link];
  const std::string names = ReadSome(file, strings.sh_offset, strings.sh_size, kMaxNameBytes);
  const std::string rows = ReadSome(file, table->sh_offset, table->sh_size, kMaxSymbols * sizeof(Elf64_Sym));
  for (size_t at = 0; at + sizeof(Elf64_Sym) <= rows.size(); at += sizeof(Elf64_Sym)) {
    Elf64_Sym symbol;
    memcpy(&symbol, rows.data() + at, sizeof(symbol));
    if (symbol.st_shndx == SHN_UNDEF) {
      found.imported |= SetOf(names, symbol.st_name);
    } else if (symbol.st_size != 0) {  // else the address of a PLT entry that is shown for comparison
      (IsHiddenFunction(symbol) ? found.hidden : found.exported) |= SetOf(names, symbol.st_name);
    }
  }
  return found;
}

bool HasOwnMalloc(const InputFile& file, const std::vector<Elf64_Shdr>& sections) {
  const Symbols dynamic = ReadSymbols(file, sections, SHT_DYNSYM);
  constexpr unsigned kAllocator = kMalloc | kUsableSize;
  if ((dynamic.exported & kAllocator) == kAllocator) return true;
  // A program that takes malloc from a library may have a function of that name in one of its files. It saves most
  // programs, too, the reading of a table that is much longer.
  if ((dynamic.imported & kMalloc) != 0) return false;
  const Symbols all = ReadSymbols(file, sections, SHT_SYMTAB);
  constexpr unsigned kHidden = kMalloc | kFree;
  const bool may_pass_on = (dynamic.imported & (kDlsym | kLibcMalloc)) != 0 && (all.hidden & kUsableSize) == 0;
  return (all.hidden & kHidden) == kHidden && !may_pass_on;
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
