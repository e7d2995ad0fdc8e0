// Leads the calls of functions of other libraries to ours, in a process that runs already: whoever looks such a
// function up from now on finds ours, and so does whoever has it looked up. And back again.
//
// It is the way to hook what must not be touched in most programs, where the library was preloaded: a name that a
// preloaded library exports is taken from it by every library of the process, later ones too, whatever these would have
// found without it. And it is the way to hook anything where it was not.
//
// What was redirected once is remembered for good. No two threads may be in here at once.
#ifndef CGOPROF_PRELOAD_REDIRECT_H_
#define CGOPROF_PRELOAD_REDIRECT_H_

#include <link.h>
#include <stddef.h>
#include <stdint.h>

namespace cgoprof {

struct Redirection {
  const link_map* library;     // that defines the function; never unloaded
  const ElfW(Sym) * function;  // as FindFunction found it
  const char* name;            // that it was found by; a constant
  void* real;                  // where it begins: what places hold that are bound to it
  void* replacement;
  void* (*resolver)();  // returns the replacement; for a function that is chosen by a resolver (STT_GNU_IFUNC)
};

// Where a function begins, of which the symbol may be redirected already.
void* UnredirectedAddress(const link_map& library, const ElfW(Sym) & function);

// False if that failed, or did in part: some calls may go on to the real functions then.
bool RedirectCalls(const Redirection* redirections, size_t count);

// Once more, for all that was ever redirected: a place may have been filled meanwhile by a look-up from before.
bool RedirectAgain();

// Puts back what leads to replacements. Who has the address of one somewhere else goes on to call it.
bool UndoRedirections();

// How many places, and symbols, were changed so far.
uint64_t PlacesChanged();

}  // namespace cgoprof

#endif  // CGOPROF_PRELOAD_REDIRECT_H_
