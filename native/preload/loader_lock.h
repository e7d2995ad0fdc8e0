// Keeps the loader from adding and removing libraries while something is done with those that are loaded.
#ifndef CGOPROF_PRELOAD_LOADER_LOCK_H_
#define CGOPROF_PRELOAD_LOADER_LOCK_H_

namespace cgoprof {

// Calls `action` while no other thread can unload a library, or begin to use one that it loads. The lock is the one
// that dl_iterate_phdr takes: never to be called from a hook, whose thread may hold it.
//
// Nor may the process fork meanwhile, as glibc's child keeps that lock as it was, held by a thread that it does not
// have: forks wait until the action is over, for a second or so at most, and it waits for them. False: a fork was under
// way all that time, and nothing was done.
bool UnderLoaderLock(void (*action)(void* argument), void* argument);

}  // namespace cgoprof

#endif  // CGOPROF_PRELOAD_LOADER_LOCK_H_
