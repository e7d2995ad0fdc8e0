// Whether the main program is a Go program, whose stacks cross between C and Go.
#ifndef CGOPROF_PRELOAD_GO_PROGRAM_H_
#define CGOPROF_PRELOAD_GO_PROGRAM_H_

namespace cgoprof {

bool IsGoProgram();

}  // namespace cgoprof

#endif  // CGOPROF_PRELOAD_GO_PROGRAM_H_
