// See go_program.h.
#include "preload/go_program.h"

#include <elf.h>
#include <stdint.h>
#include <string.h>
#include <sys/auxv.h>

#include "preload/elf_sections.h"

namespace cgoprof {
namespace {

// Looks for the note with which the Go linker marks every program ("Go", type 4: the Go build id).
bool IsGoNote(uintptr_t notes, uint64_t length) {
  constexpr uint32_t kGoBuildId = 4;
  for (uint64_t at = 0; at + sizeof(Elf64_Nhdr) + 4 <= length;) {
    const Elf64_Nhdr* note = reinterpret_cast<const Elf64_Nhdr*>(notes + at);
    const uint64_t name = at + sizeof(*note);
    if (note->n_type == kGoBuildId && note->n_namesz == 4 &&
        memcmp(reinterpret_cast<void*>(notes + name), "Go\0", 4) == 0) {
      return true;
    }
    at = name + ((uint64_t{note->n_namesz} + 3) & ~uint64_t{3}) + ((uint64_t{note->n_descsz} + 3) & ~uint64_t{3});
  }
  return false;
}

bool HasGoNote() {
  const Elf64_Phdr* headers = reinterpret_cast<const Elf64_Phdr*>(getauxval(AT_PHDR));
  const uint64_t count = getauxval(AT_PHNUM);
  if (headers == nullptr) return false;
  uintptr_t bias = 0;
  for (uint64_t i = 0; i < count; i++) {
    if (headers[i].p_type == PT_PHDR) bias = reinterpret_cast<uintptr_t>(headers) - headers[i].p_vaddr;
  }
  for (uint64_t i = 0; i < count; i++) {
    if (headers[i].p_type == PT_NOTE && IsGoNote(headers[i].p_vaddr + bias, headers[i].p_memsz)) return true;
  }
  return false;
}

// -ldflags=-buildid= takes the note away; what `go version` reads stays.
bool HasGoBuildInfo() {
  SectionQuery query = {".go.buildinfo", 0, 0};
  FindSections(&query, 1);
  return query.bytes != 0;
}

}  // namespace

bool IsGoProgram() { return HasGoNote() || HasGoBuildInfo(); }

}  // namespace cgoprof
