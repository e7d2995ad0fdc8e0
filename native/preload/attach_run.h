// What the constructor has to see to for AttachRun.
#ifndef CGOPROF_PRELOAD_ATTACH_RUN_H_
#define CGOPROF_PRELOAD_ATTACH_RUN_H_

namespace cgoprof {

// Two tools that cannot see each other may each have brought a copy of the library into the process. The one that was
// loaded first acts for both. To be called from the constructor, while nobody can load or unload a library.
void NoteEarlierCopy();

}  // namespace cgoprof

#endif  // CGOPROF_PRELOAD_ATTACH_RUN_H_
