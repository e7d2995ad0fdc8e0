// What a DWARF function is called.
#ifndef CGOPROF_ADDON_DWARF_NAMES_H_
#define CGOPROF_ADDON_DWARF_NAMES_H_

#include <elfutils/libdw.h>

#include <string>
#include <unordered_map>
#include <vector>

namespace cgoprof {

struct FunctionNames {
  std::string name;         // demangled or qualified; '' when the function is anonymous
  std::string system_name;  // linkage name; equals name where there is none
};

// The declaration that an inlined call, a copy of a function or a definition goes back to; `die` itself if to none. All
// copies of a function have one origin.
Dwarf_Die FunctionOrigin(Dwarf_Die die);

// Calls visit(child) for the children of a DIE until it returns false.
template <typename Visit>
void ForEachChild(Dwarf_Die* parent, Visit visit) {
  Dwarf_Die child;
  if (dwarf_child(parent, &child) != 0) return;
  for (;;) {
    const void* const before = child.addr;
    if (!visit(&child)) return;
    // A damaged DW_AT_sibling could lead backwards.
    if (dwarf_siblingof(&child, &child) != 0 || child.addr <= before) return;
  }
}

// A string of libdw's, cut at an absurd length; '' for nullptr.
std::string DwarfText(const char* text);

// Names functions of one Dwarf handle and of what it shares with dwz. Remembers where it looked.
class DwarfNames {
 public:
  // `origin`: FunctionOrigin(die).
  FunctionNames Name(Dwarf_Die die, Dwarf_Die origin);

 private:
  std::string Qualify(Dwarf_Die origin, const std::string& name);
  const std::vector<Dwarf_Die>& Children(Dwarf_Die* parent);

  std::unordered_map<const void*, std::vector<Dwarf_Die>> children_;
};

}  // namespace cgoprof

#endif  // CGOPROF_ADDON_DWARF_NAMES_H_
