// Notices a program whose malloc never comes to us: a definition that the loader finds before ours wins.
#ifndef CGOPROF_PRELOAD_UNSEEN_MALLOC_H_
#define CGOPROF_PRELOAD_UNSEEN_MALLOC_H_

namespace cgoprof {

// A word for LeaveStartFailure, or nullptr: malloc is ours, or comes to ours. To be called from a constructor.
//   own-malloc      the executable defines it (an allocator that is linked into it statically)
//   earlier-malloc  a library does that stands in front of ours in LD_PRELOAD
const char* WhyMallocIsUnseen();

}  // namespace cgoprof

#endif  // CGOPROF_PRELOAD_UNSEEN_MALLOC_H_
