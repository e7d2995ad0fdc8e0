// See dwarf_names.h.
#include "addon/dwarf_names.h"

#include <dwarf.h>
#include <string.h>

#include <algorithm>

#include "addon/demangle.h"

namespace cgoprof {
namespace {

constexpr int kMaxScopes = 64;

const char* StringOf(Dwarf_Die* die, unsigned int name) {
  Dwarf_Attribute attribute;
  return dwarf_formstring(dwarf_attr_integrate(die, name, &attribute));
}

bool HasNamespaces(Dwarf_Die* die) {
  Dwarf_Die unit;
  if (dwarf_diecu(die, &unit, nullptr, nullptr) == nullptr) return false;
  switch (dwarf_srclang(&unit)) {
    case DW_LANG_C_plus_plus:
    case DW_LANG_C_plus_plus_03:
    case DW_LANG_C_plus_plus_11:
    case DW_LANG_C_plus_plus_14:
      return true;
    default:
      return false;
  }
}

// One scope's part of a qualified name, in the demangler's words; '' for scopes that names do not show.
std::string ScopeName(Dwarf_Die* scope) {
  const std::string name = DwarfText(dwarf_diename(scope));
  switch (dwarf_tag(scope)) {
    case DW_TAG_namespace:
      return name.empty() ? "(anonymous namespace)" : name;
    case DW_TAG_class_type:
    case DW_TAG_structure_type:
    case DW_TAG_union_type:
      return name.empty() ? "{unnamed type}" : name;
    case DW_TAG_subprogram:
      return name + "()";
    default:
      return "";
  }
}

}  // namespace

std::string DwarfText(const char* text) {
  constexpr size_t kMaxLength = 64 << 10;
  return text != nullptr ? std::string(text, strnlen(text, kMaxLength)) : "";
}

Dwarf_Die FunctionOrigin(Dwarf_Die die) {
  constexpr int kMaxHops = 16;  // concrete -> abstract -> declaration; a damaged chain could be a cycle
  for (int hop = 0; hop < kMaxHops; ++hop) {
    Dwarf_Attribute attribute;
    Dwarf_Die next;
    if (dwarf_attr(&die, DW_AT_abstract_origin, &attribute) == nullptr &&
        dwarf_attr(&die, DW_AT_specification, &attribute) == nullptr) {
      break;
    }
    if (dwarf_formref_die(&attribute, &next) == nullptr) break;
    die = next;
  }
  return die;
}

FunctionNames DwarfNames::Name(Dwarf_Die die, Dwarf_Die origin) {
  const std::string name = DwarfText(dwarf_diename(&die));
  const char* linkage_name = StringOf(&die, DW_AT_linkage_name);
  if (linkage_name == nullptr) linkage_name = StringOf(&die, DW_AT_MIPS_linkage_name);
  if (linkage_name == nullptr) {
    const std::string qualified = Qualify(origin, name);
    return {qualified, qualified};
  }
  const std::string system_name = DwarfText(linkage_name);
  const std::string demangled = Demangle(system_name);
  // A linkage name that is not mangled comes from an asm label or from Fortran; the source's own name says more.
  if (demangled.empty()) return {name.empty() ? system_name : name, system_name};
  return {demangled, system_name};
}

// The name with the scopes around its declaration. GCC gives functions that other files cannot call (static, in
// anonymous namespaces, of local classes) no linkage name. Going down from the unit, a DIE's subtree reaches up to its
// next sibling, so the scope to enter is the last child at or before the origin. (dwarf_getscopes_die visits every DIE
// instead: 20 s for 5,000 addresses of a C++ program, where this takes none to speak of.)
std::string DwarfNames::Qualify(Dwarf_Die origin, const std::string& name) {
  Dwarf_Die scope;
  if (name.empty() || !HasNamespaces(&origin) || dwarf_diecu(&origin, &scope, nullptr, nullptr) == nullptr) return name;
  std::string prefix;
  for (int depth = 0; depth < kMaxScopes; ++depth) {
    const std::vector<Dwarf_Die>& children = Children(&scope);
    const auto after = std::upper_bound(children.begin(), children.end(), origin.addr,
                                        [](const void* addr, const Dwarf_Die& child) { return addr < child.addr; });
    if (after == children.begin() || (after - 1)->addr == origin.addr) break;
    scope = *(after - 1);
    if (const std::string part = ScopeName(&scope); !part.empty()) prefix += part + "::";
  }
  return prefix + name;
}

const std::vector<Dwarf_Die>& DwarfNames::Children(Dwarf_Die* parent) {
  const auto [place, is_new] = children_.try_emplace(parent->addr);
  if (is_new) {
    ForEachChild(parent, [&children = place->second](Dwarf_Die* child) {
      children.push_back(*child);
      return true;
    });
  }
  return place->second;
}

}  // namespace cgoprof
