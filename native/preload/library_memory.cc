// See library_memory.h.
#include "preload/library_memory.h"

#include <string.h>

#include "preload/readable.h"

namespace cgoprof {
namespace {

bool distrusted;

}  // namespace

void DistrustLibraries() { distrusted = true; }

LibraryMemory::LibraryMemory() {
  if (!distrusted) return;
  for (uint64_t& page : pages_) page = kNone;
}

bool LibraryMemory::Has(uint64_t address, uint64_t bytes) {
  if (!distrusted) return true;
  if (address + bytes < address) return false;
  for (uint64_t page = address & ~(kProbePage - 1); page < address + bytes; page += kProbePage) {
    uint64_t* const known = &pages_[page / kProbePage % kPages];
    if (page == *known) continue;
    if (!IsReadable(page)) return false;
    *known = page;
  }
  return true;
}

bool LibraryMemory::HasText(uint64_t address, const char* text) {
  if (!distrusted) return strcmp(reinterpret_cast<const char*>(address), text) == 0;
  const size_t bytes = strlen(text) + 1;
  return Has(address, bytes) && memcmp(reinterpret_cast<const void*>(address), text, bytes) == 0;
}

}  // namespace cgoprof
