// Leads the calls of a function of another library to one of ours, in a process that runs already: whoever looks the
// function up from now on finds ours, and so does whoever has it looked up.
//
// It is the way to hook what must not be touched in most programs. A name that a preloaded library exports is taken
// from it by every library of the process, later ones too, whatever these would have found without it.
#ifndef CGOPROF_PRELOAD_REDIRECT_H_
#define CGOPROF_PRELOAD_REDIRECT_H_

#include <link.h>

namespace cgoprof {

// Redirects `function` of `library` (FindFunction found it there; no resolver) to `replacement`. To be called from a
// constructor. False if the symbol table cannot be written: nothing has changed then.
bool RedirectCalls(const link_map& library, const ElfW(Sym) & function, void* replacement);

}  // namespace cgoprof

#endif  // CGOPROF_PRELOAD_REDIRECT_H_
