// What can be told of a file before a library is preloaded into it.
#include "addon/executable_info.h"

#include <elf.h>
#include <gtest/gtest.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/xattr.h>

#include <string>
#include <string_view>
#include <vector>

#include "temp_file.h"

namespace cgoprof {
namespace {

using std::string_literals::operator""s;
using std::string_view_literals::operator""sv;

struct ElfSegment {
  uint32_t type;
  std::string content;
  uint64_t align = 4;
};

// An x86-64 executable of `segments` and nothing else.
std::string MakeElf(const std::vector<ElfSegment>& segments) {
  Elf64_Ehdr header = {};
  memcpy(header.e_ident, ELFMAG, SELFMAG);
  header.e_ident[EI_CLASS] = ELFCLASS64;
  header.e_ident[EI_DATA] = ELFDATA2LSB;
  header.e_machine = EM_X86_64;
  header.e_phoff = sizeof(header);
  header.e_phentsize = sizeof(Elf64_Phdr);
  header.e_phnum = static_cast<uint16_t>(segments.size());
  std::string file(reinterpret_cast<const char*>(&header), sizeof(header));
  uint64_t offset = sizeof(header) + segments.size() * sizeof(Elf64_Phdr);
  for (const ElfSegment& segment : segments) {
    Elf64_Phdr entry = {};
    entry.p_type = segment.type;
    entry.p_offset = offset;
    entry.p_filesz = segment.content.size();
    entry.p_align = segment.align;
    file.append(reinterpret_cast<const char*>(&entry), sizeof(entry));
    offset += segment.content.size();
  }
  for (const ElfSegment& segment : segments) file += segment.content;
  return file;
}

std::string MakeNote(std::string_view name, uint32_t type, std::string_view description, size_t align = 4) {
  const Elf64_Nhdr header = {static_cast<Elf64_Word>(name.size()), static_cast<Elf64_Word>(description.size()), type};
  std::string note(reinterpret_cast<const char*>(&header), sizeof(header));
  for (const std::string_view part : {name, description}) {
    note += part;
    note.resize((note.size() + align - 1) / align * align);
  }
  return note;
}

const std::string kGnuNote = MakeNote("GNU\0"sv, NT_GNU_BUILD_ID, "12345678901234567890");
const std::string kGoNote = MakeNote("Go\0\0"sv, 4, "aaaa/bbbb/cccc/ddd");

Elf64_Ehdr* HeaderOf(std::string* file) { return reinterpret_cast<Elf64_Ehdr*>(file->data()); }
Elf64_Phdr* SegmentOf(std::string* file, size_t index) {
  return reinterpret_cast<Elf64_Phdr*>(file->data() + sizeof(Elf64_Ehdr)) + index;
}

ExecutableInfo Inspect(const std::string& content) {
  const TempFile file(content);
  const ExecutableInfoResult result = InspectExecutable(file.path());
  EXPECT_EQ(result.error.code, "") << result.error.message;
  return result.info;
}

TEST(ExecutableInfo, TellsADynamicGoProgram) {
  const ExecutableInfo info =
      Inspect(MakeElf({{PT_INTERP, "/lib64/ld-linux-x86-64.so.2\0"s}, {PT_NOTE, kGnuNote}, {PT_NOTE, kGoNote}}));
  EXPECT_EQ(info.format, ExecutableFormat::kElf);
  EXPECT_EQ(info.machine, "amd64");
  EXPECT_TRUE(info.dynamic);
  EXPECT_EQ(info.interpreter, "/lib64/ld-linux-x86-64.so.2");
  EXPECT_TRUE(info.is_go);
  EXPECT_FALSE(info.has_capabilities);
}

TEST(ExecutableInfo, TellsItself) {
  const ExecutableInfo info = InspectExecutable("/proc/self/exe").info;
  EXPECT_EQ(info.format, ExecutableFormat::kElf);
  EXPECT_TRUE(info.dynamic);
  EXPECT_EQ(info.interpreter.substr(0, 4), "/lib");
  EXPECT_FALSE(info.is_go);
}

TEST(ExecutableInfo, AStaticProgramHasNoInterpreter) {
  const ExecutableInfo info = Inspect(MakeElf({{PT_NOTE, kGoNote}}));
  EXPECT_FALSE(info.dynamic);
  EXPECT_EQ(info.interpreter, "");
  EXPECT_TRUE(info.is_go);
}

TEST(ExecutableInfo, FindsTheGoNoteBehindOthers) {
  EXPECT_TRUE(Inspect(MakeElf({{PT_NOTE, kGnuNote + MakeNote("stapsdt\0"sv, 3, "odd") + kGoNote}})).is_go);
  const std::string property = MakeNote("GNU\0"sv, NT_GNU_PROPERTY_TYPE_0, "123456789012", 8);
  EXPECT_TRUE(Inspect(MakeElf({{PT_NOTE, property + kGoNote, 8}})).is_go);
}

// Puts two sections behind the image: one with the given name, and the table of names.
std::string WithSection(std::string file, const std::string& name) {
  const std::string names = "\0"s + name + "\0.shstrtab\0"s;
  Elf64_Shdr sections[2] = {};
  sections[0].sh_name = 1;
  sections[1].sh_name = static_cast<uint32_t>(name.size() + 2);
  sections[1].sh_offset = file.size();
  sections[1].sh_size = names.size();
  Elf64_Ehdr header;
  memcpy(&header, file.data(), sizeof(header));
  header.e_shoff = file.size() + names.size();
  header.e_shentsize = sizeof(Elf64_Shdr);
  header.e_shnum = 2;
  header.e_shstrndx = 1;
  memcpy(file.data(), &header, sizeof(header));
  return file + names + std::string(reinterpret_cast<const char*>(sections), sizeof(sections));
}

struct Symbol {
  std::string name;
  bool defined = true;
  uint64_t size = 16;
  unsigned char info = ELF64_ST_INFO(STB_GLOBAL, STT_FUNC);
  unsigned char other = STV_DEFAULT;
};

struct SymbolTable {
  uint32_t type;
  std::vector<Symbol> symbols;
};

// Puts symbol tables behind the image: two sections each, the symbols and their names.
std::string WithSymbolTables(std::string file, const std::vector<SymbolTable>& tables) {
  std::vector<Elf64_Shdr> sections;
  for (const SymbolTable& table : tables) {
    std::string names = "\0"s, rows(sizeof(Elf64_Sym), '\0');
    for (const Symbol& symbol : table.symbols) {
      Elf64_Sym row = {};
      row.st_name = static_cast<uint32_t>(names.size());
      row.st_info = symbol.info;
      row.st_other = symbol.other;
      row.st_shndx = symbol.defined ? 1 : SHN_UNDEF;
      row.st_size = symbol.size;
      rows.append(reinterpret_cast<const char*>(&row), sizeof(row));
      names += symbol.name + '\0';
    }
    Elf64_Shdr section = {};
    section.sh_type = table.type;
    section.sh_offset = file.size();
    section.sh_size = rows.size();
    section.sh_link = static_cast<uint32_t>(sections.size() + 1);
    sections.push_back(section);
    section = {};
    section.sh_type = SHT_STRTAB;
    section.sh_offset = file.size() + rows.size();
    section.sh_size = names.size();
    sections.push_back(section);
    file += rows + names;
  }
  file.resize((file.size() + 7) / 8 * 8);  // tests change the headers where they lie
  Elf64_Ehdr* const header = HeaderOf(&file);
  header->e_shoff = file.size();
  header->e_shentsize = sizeof(Elf64_Shdr);
  header->e_shnum = static_cast<uint16_t>(sections.size());
  return file + std::string(reinterpret_cast<const char*>(sections.data()), sections.size() * sizeof(Elf64_Shdr));
}

TEST(ExecutableInfo, TellsAProgramWithAMallocOfItsOwn) {
  const std::string image = MakeElf({{PT_INTERP, "/lib/ld.so"}});
  const auto has_own_malloc = [&](const std::vector<Symbol>& symbols) {
    return Inspect(WithSymbolTables(image, {{SHT_DYNSYM, symbols}})).has_own_malloc;
  };
  EXPECT_TRUE(has_own_malloc({{"free"}, {"malloc"}, {"printf", false}, {"malloc_usable_size"}}));
  EXPECT_FALSE(has_own_malloc({{"mallocx"}, {"xmalloc"}, {"malloc_usable_size"}})) << "other names";
  EXPECT_FALSE(has_own_malloc({{"malloc", false, 0}, {"malloc_usable_size"}})) << "imported";
  EXPECT_FALSE(has_own_malloc({{"malloc", true, 0}, {"malloc_usable_size"}})) << "the address of a PLT entry";
  EXPECT_FALSE(has_own_malloc({{"malloc"}})) << "a wrapper, which passes on to the next one";
}

constexpr unsigned char kLocal = ELF64_ST_INFO(STB_LOCAL, STT_FUNC), kGlobal = ELF64_ST_INFO(STB_GLOBAL, STT_FUNC);
const Symbol kLocalMalloc = {"malloc", true, 16, kLocal}, kHiddenFree = {"free", true, 16, kGlobal, STV_HIDDEN};
const Symbol kImportedDlsym = {"dlsym", false, 0};

bool HidesMalloc(const std::vector<Symbol>& dynamic, const std::vector<Symbol>& all) {
  const std::string image = MakeElf({{PT_INTERP, "/lib/ld.so"}});
  return Inspect(WithSymbolTables(image, {{SHT_DYNSYM, dynamic}, {SHT_SYMTAB, all}})).has_own_malloc;
}

TEST(ExecutableInfo, TellsAProgramThatHidesAMallocOfItsOwn) {
  EXPECT_TRUE(HidesMalloc({{"printf", false, 0}}, {{"main"}, kLocalMalloc, {"malloc"}, kHiddenFree}));
  EXPECT_TRUE(HidesMalloc({}, {{"free", true, 16, kLocal}, {"malloc", true, 16, kGlobal, STV_INTERNAL}}));
  EXPECT_TRUE(
      HidesMalloc({kImportedDlsym}, {kLocalMalloc, kHiddenFree, {"malloc_usable_size", true, 16, kGlobal, STV_HIDDEN}}))
      << "an allocator that looks for something else than the next malloc";
}

TEST(ExecutableInfo, AMallocForOneFileOnlyIsNotTheProgramsOwn) {
  EXPECT_FALSE(HidesMalloc({{"malloc", false, 0}}, {kLocalMalloc, kHiddenFree})) << "the others take a library's";
  EXPECT_FALSE(HidesMalloc({}, {kLocalMalloc})) << "nothing that releases";
  EXPECT_FALSE(HidesMalloc({}, {{"malloc_state", true, 16, kLocal}, {"xmalloc", true, 16, kLocal}, kHiddenFree}));
  const unsigned char variable = ELF64_ST_INFO(STB_LOCAL, STT_OBJECT);
  EXPECT_FALSE(HidesMalloc({}, {kLocalMalloc, {"free", true, 16, variable}})) << "a count of what is free";
}

TEST(ExecutableInfo, AHiddenMallocThatMayPassOnIsNoAllocator) {
  EXPECT_FALSE(HidesMalloc({kImportedDlsym}, {kLocalMalloc, kHiddenFree}));
  EXPECT_FALSE(HidesMalloc({{"__libc_malloc", false, 0}}, {kLocalMalloc, kHiddenFree}));
  EXPECT_FALSE(HidesMalloc({{"malloc"}, {"free"}}, {{"malloc"}, {"free"}})) << "one that libraries see";
}

TEST(ExecutableInfo, DamagedDynamicSymbolsAreNone) {
  const std::string whole =
      WithSymbolTables(MakeElf({{PT_INTERP, "/lib/ld.so"}}), {{SHT_DYNSYM, {{"malloc_usable_size"}, {"malloc"}}}});
  const size_t table = whole.size() - 2 * sizeof(Elf64_Shdr);
  const auto damaged = [&](auto damage) {
    std::string file = whole;
    damage(reinterpret_cast<Elf64_Shdr*>(file.data() + table));
    return Inspect(file).has_own_malloc;
  };
  EXPECT_TRUE(damaged([](Elf64_Shdr*) {}));
  EXPECT_FALSE(damaged([](Elf64_Shdr* sections) { sections[0].sh_link = 2; }));
  EXPECT_FALSE(damaged([](Elf64_Shdr* sections) { sections[0].sh_offset = ~uint64_t{0}; }));
  EXPECT_FALSE(damaged([](Elf64_Shdr* sections) { sections[1].sh_size = 3; })) << "names that end early";
  EXPECT_TRUE(damaged([](Elf64_Shdr* sections) { sections[0].sh_size = ~uint64_t{0}; })) << "what there is of it";
}

TEST(ExecutableInfo, TellsAGoProgramWhoseBuildIdWasLeftOut) {
  const std::string image = MakeElf({{PT_INTERP, "/lib/ld.so"}, {PT_NOTE, kGnuNote}});
  EXPECT_TRUE(Inspect(WithSection(image, ".go.buildinfo")).is_go);
  EXPECT_FALSE(Inspect(WithSection(image, ".go.buildinfox")).is_go);
  EXPECT_FALSE(Inspect(WithSection(image, ".gopher")).is_go);
  const std::string whole = WithSection(image, ".go.buildinfo");
  for (size_t length = image.size(); length < whole.size(); length++) {
    EXPECT_FALSE(Inspect(whole.substr(0, length)).is_go) << length;
  }
}

TEST(ExecutableInfo, OtherNotesAreNotGos) {
  EXPECT_FALSE(Inspect(MakeElf({{PT_NOTE, kGnuNote}})).is_go);
  EXPECT_FALSE(Inspect(MakeElf({{PT_NOTE, MakeNote("Go\0\0"sv, 3, "x")}})).is_go);
  EXPECT_FALSE(Inspect(MakeElf({{PT_NOTE, MakeNote("Gopher\0\0"sv, 4, "x")}})).is_go);
}

TEST(ExecutableInfo, DamagedNotesEndTheSearch) {
  std::string endless = kGnuNote;
  reinterpret_cast<Elf64_Nhdr*>(endless.data())->n_descsz = 0xFFFFFFFF;
  EXPECT_FALSE(Inspect(MakeElf({{PT_NOTE, endless + kGoNote}})).is_go);
  endless = kGnuNote;
  reinterpret_cast<Elf64_Nhdr*>(endless.data())->n_namesz = 0xFFFFFFFF;
  EXPECT_FALSE(Inspect(MakeElf({{PT_NOTE, endless + kGoNote}})).is_go);
  EXPECT_FALSE(Inspect(MakeElf({{PT_NOTE, kGoNote.substr(0, 13)}})).is_go);
  EXPECT_FALSE(Inspect(MakeElf({{PT_NOTE, ""}})).is_go);
}

TEST(ExecutableInfo, SurvivesOffsetsOutsideTheFile) {
  std::string file = MakeElf({{PT_INTERP, "/lib/ld.so"}, {PT_NOTE, kGoNote}});
  for (const size_t index : {0, 1}) {
    SegmentOf(&file, index)->p_offset = ~uint64_t{0};
    SegmentOf(&file, index)->p_filesz = ~uint64_t{0};
  }
  const ExecutableInfo info = Inspect(file);
  EXPECT_TRUE(info.dynamic);
  EXPECT_EQ(info.interpreter, "");
  EXPECT_FALSE(info.is_go);

  HeaderOf(&file)->e_phoff = ~uint64_t{0};
  HeaderOf(&file)->e_phnum = 0xFFFF;
  EXPECT_FALSE(Inspect(file).dynamic);
  HeaderOf(&file)->e_phoff = sizeof(Elf64_Ehdr);
  EXPECT_TRUE(Inspect(file).dynamic);
  HeaderOf(&file)->e_phentsize = 1;
  EXPECT_FALSE(Inspect(file).dynamic);
}

TEST(ExecutableInfo, BoundsTheInterpretersPath) {
  EXPECT_EQ(Inspect(MakeElf({{PT_INTERP, std::string(9973, 'x')}})).interpreter, std::string(4096, 'x'));
  EXPECT_EQ(Inspect(MakeElf({{PT_INTERP, "/lib/\x1b\xFF"}})).interpreter, "/lib/\uFFFD\uFFFD");
}

TEST(ExecutableInfo, NamesTheMachinesThatAreSupported) {
  std::string file = MakeElf({{PT_INTERP, "/lib/ld.so"}});
  HeaderOf(&file)->e_machine = EM_AARCH64;
  EXPECT_EQ(Inspect(file).machine, "arm64");
  HeaderOf(&file)->e_machine = EM_RISCV;
  EXPECT_EQ(Inspect(file).machine, "243");

  HeaderOf(&file)->e_machine = EM_X86_64;
  HeaderOf(&file)->e_ident[EI_CLASS] = ELFCLASS32;  // the x32 ABI
  EXPECT_EQ(Inspect(file).machine, "62");
  EXPECT_FALSE(Inspect(file).dynamic);

  HeaderOf(&file)->e_ident[EI_CLASS] = ELFCLASS64;
  HeaderOf(&file)->e_ident[EI_DATA] = ELFDATA2MSB;
  HeaderOf(&file)->e_machine = __builtin_bswap16(EM_S390);
  EXPECT_EQ(Inspect(file).machine, "22");
}

TEST(ExecutableInfo, FindsAScriptsInterpreter) {
  const auto interpreter = [](std::string_view script) {
    const ExecutableInfo info = Inspect(std::string(script));
    EXPECT_EQ(info.format, ExecutableFormat::kScript);
    EXPECT_EQ(info.machine, "");
    return info.interpreter;
  };
  EXPECT_EQ(interpreter("#!/bin/sh\nexec ./server\n"), "/bin/sh");
  EXPECT_EQ(interpreter("#! \t/usr/bin/env -S bash -e\n"), "/usr/bin/env");
  EXPECT_EQ(interpreter("#!/bin/sh"), "/bin/sh");
  EXPECT_EQ(interpreter("#!"), "");
  EXPECT_EQ(interpreter("#!\n/bin/sh\n"), "");
  EXPECT_EQ(interpreter("#!/bin/sh\0/x\n"sv), "/bin/sh");
  EXPECT_EQ(interpreter("#!" + std::string(997, 'x')), std::string(254, 'x'));
}

TEST(ExecutableInfo, EverythingElseIsOther) {
  for (const std::string_view content : {""sv, "#"sv, "\x7f"sv,
                                         "\x7f"
                                         "ELG"sv,
                                         "MZ"sv, "exec ./server\n"sv}) {
    EXPECT_EQ(Inspect(std::string(content)).format, ExecutableFormat::kOther);
  }
  const ExecutableInfo cut = Inspect(
      "\x7f"
      "ELF");
  EXPECT_EQ(cut.format, ExecutableFormat::kElf);
  EXPECT_EQ(cut.machine, "0");
}

TEST(ExecutableInfo, SeesFileCapabilities) {
  const TempFile file(MakeElf({}));
  vfs_cap_data capability = {};
  capability.magic_etc = VFS_CAP_REVISION_2 | VFS_CAP_FLAGS_EFFECTIVE;
  capability.data[0].permitted = 1u << CAP_NET_BIND_SERVICE;
  // Only root may set it, and not on every filesystem.
  const bool set = fsetxattr(file.fd(), "security.capability", &capability, XATTR_CAPS_SZ_2, 0) == 0;
  EXPECT_EQ(InspectExecutable(file.path()).info.has_capabilities, set);
}

TEST(ExecutableInfo, TellsWhyAFileCannotBeRead) {
  EXPECT_EQ(InspectExecutable("/nonexistent/server").error.code, "ENOENT");
  EXPECT_EQ(InspectExecutable("/tmp").error.code, "EIO");
  EXPECT_EQ(InspectExecutable("/tmp").error.message, "Is a directory");
}

}  // namespace
}  // namespace cgoprof
