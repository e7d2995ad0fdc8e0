// See unseen_malloc.h.
#include "preload/unseen_malloc.h"

#include <link.h>
#include <stdlib.h>

#include "preload/loaded_library.h"
#include "preload/probe.h"

namespace cgoprof {

const char* WhyMallocIsUnseen() {
  const link_map* const executable = _r_debug.r_map;
  const link_map* const first = FindFirst({executable, nullptr}, "malloc").library;
  if (first == OwnLibrary()) return nullptr;
  // One that looks for the next malloc (dlsym) and passes on to it is only in front of us.
  if (ReachesAHook([] { free(malloc(1)); })) return nullptr;
  return first == executable ? "own-malloc" : "earlier-malloc";
}

}  // namespace cgoprof
