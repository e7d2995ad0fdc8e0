// Leads the calls of functions of another library to ours, in a process that runs already: whoever looks such a
// function up from now on finds ours, and so does whoever has it looked up.
//
// It is the way to hook what must not be touched in most programs. A name that a preloaded library exports is taken
// from it by every library of the process, later ones too, whatever these would have found without it.
#ifndef CGOPROF_PRELOAD_REDIRECT_H_
#define CGOPROF_PRELOAD_REDIRECT_H_

#include <link.h>
#include <stddef.h>

namespace cgoprof {

struct Redirection {
  const ElfW(Sym) * function;  // as FindFunction found it
  void* real;                  // where it begins: what places hold that are bound to it
  void* replacement;
  void* (*resolver)();  // returns the replacement; for a function that is chosen by a resolver (STT_GNU_IFUNC)
};

// Redirects functions of one library. To be called from a constructor. False if that failed, or did in part: some calls
// may go on to the real functions then.
bool RedirectCalls(const link_map& library, const Redirection* redirections, size_t count);

}  // namespace cgoprof

#endif  // CGOPROF_PRELOAD_REDIRECT_H_
