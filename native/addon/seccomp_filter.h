// Whether a process's seccomp filters let attaching through: they are read from the kernel and run on every system call
// that it makes in the process, because the answer to the first forbidden one may be the process's end.
//
// Formats: linux/seccomp.h, linux/filter.h; the instructions that the kernel allows, kernel/seccomp.c
// (seccomp_check_filter).
#ifndef CGOPROF_ADDON_SECCOMP_FILTER_H_
#define CGOPROF_ADDON_SECCOMP_FILTER_H_

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/types.h>

#include <string>
#include <vector>

namespace cgoprof {

using SeccompFilter = std::vector<sock_filter>;

// The filter's answer, SECCOMP_RET_*. A filter that the kernel would not have taken answers SECCOMP_RET_KILL_PROCESS.
uint32_t RunSeccompFilter(const SeccompFilter& filter, const seccomp_data& data);

// The name of the first system call of attaching that the filters forbid; '' when they let all through.
std::string FindForbiddenCall(const std::vector<SeccompFilter>& filters);

enum class FilterAccess { kRead, kForbidden };

// The filters of a thread that is stopped under ptrace by the calling thread. kForbidden: they may not be read, which
// takes CAP_SYS_ADMIN.
FilterAccess ReadSeccompFilters(pid_t tid, std::vector<SeccompFilter>* filters);

}  // namespace cgoprof

#endif  // CGOPROF_ADDON_SECCOMP_FILTER_H_
