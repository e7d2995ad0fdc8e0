// Reading ELF images from memory: this test's own, and garbage.
#include "preload/elf_memory.h"

#include <dlfcn.h>
#include <elf.h>
#include <gtest/gtest.h>
#include <link.h>
#include <string.h>
#include <sys/mman.h>

namespace cgoprof {
namespace {

// The loader's own word on the image that holds an address.
struct Oracle {
  uintptr_t address;
  uintptr_t bias = 0, start = ~uintptr_t{0}, end = 0, eh_frame_hdr = 0;
  bool found = false;
};

int Visit(dl_phdr_info* info, size_t, void* argument) {
  Oracle* oracle = static_cast<Oracle*>(argument);
  Oracle here = *oracle;
  here.bias = info->dlpi_addr;
  for (int i = 0; i < info->dlpi_phnum; i++) {
    const ElfW(Phdr)& h = info->dlpi_phdr[i];
    if (h.p_type == PT_GNU_EH_FRAME) here.eh_frame_hdr = h.p_vaddr + here.bias;
    if (h.p_type != PT_LOAD) continue;
    here.start = std::min<uintptr_t>(here.start, (h.p_vaddr & ~uintptr_t{4095}) + here.bias);
    here.end = std::max<uintptr_t>(here.end, h.p_vaddr + h.p_memsz + here.bias);
  }
  if (oracle->address < here.start || oracle->address >= here.end) return 0;
  *oracle = here;
  oracle->found = true;
  return 1;
}

void ExpectSameAsLoader(uintptr_t address) {
  Oracle oracle;
  oracle.address = address;
  dl_iterate_phdr(&Visit, &oracle);
  ASSERT_TRUE(oracle.found);
  ProcessMemory memory;
  memory.Open();
  ElfScratch scratch;
  ElfImage image;
  ASSERT_TRUE(ReadElfImage(memory, oracle.start, &scratch, &image));
  EXPECT_EQ(image.start, oracle.start);
  EXPECT_EQ(image.end, oracle.end);
  EXPECT_EQ(image.bias, oracle.bias);
  EXPECT_EQ(image.eh_frame_hdr, oracle.eh_frame_hdr);
  EXPECT_LE(image.text_start, address);
  EXPECT_GT(image.text_end, address);
  EXPECT_LE(image.cfi_start, image.eh_frame_hdr);
  EXPECT_GT(image.cfi_end, image.eh_frame_hdr);
  EXPECT_EQ(image.build_id_bytes, 20u);
  memory.Close();
}

TEST(ReadElfImage, AgreesWithTheLoaderAboutThisProgram) { ExpectSameAsLoader(reinterpret_cast<uintptr_t>(&Visit)); }

TEST(ReadElfImage, AgreesWithTheLoaderAboutLibc) {
  ExpectSameAsLoader(reinterpret_cast<uintptr_t>(dlsym(RTLD_DEFAULT, "gnu_get_libc_version")));
}

TEST(ReadElfImage, RefusesWhatIsNoImage) {
  ProcessMemory memory;
  memory.Open();
  ElfScratch scratch;
  ElfImage image;
  EXPECT_FALSE(ReadElfImage(memory, 0, &scratch, &image)) << "not mapped";
  void* page = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  EXPECT_FALSE(ReadElfImage(memory, reinterpret_cast<uintptr_t>(page), &scratch, &image)) << "zeros";
  Elf64_Ehdr header = {};
  memcpy(header.e_ident, ELFMAG, SELFMAG);
  header.e_ident[EI_CLASS] = ELFCLASS64;
  header.e_phentsize = sizeof(Elf64_Phdr);
  header.e_phnum = 3;
  header.e_phoff = 1 << 20;
  memcpy(page, &header, sizeof(header));
  EXPECT_FALSE(ReadElfImage(memory, reinterpret_cast<uintptr_t>(page), &scratch, &image)) << "headers out of reach";
  header.e_phoff = sizeof(header);
  memcpy(page, &header, sizeof(header));
  EXPECT_FALSE(ReadElfImage(memory, reinterpret_cast<uintptr_t>(page), &scratch, &image)) << "no segments";
  header.e_phnum = 60000;
  memcpy(page, &header, sizeof(header));
  EXPECT_FALSE(ReadElfImage(memory, reinterpret_cast<uintptr_t>(page), &scratch, &image)) << "too many segments";
  munmap(page, 4096);
  memory.Close();
}

}  // namespace
}  // namespace cgoprof
