// The malloc of this process, the tool's own.
#pragma once

namespace cgoprof {

// Has large blocks go back to the system when they are freed: for a process that lives long and holds profiles for
// moments. Of all threads; never fails.
void KeepAllocatorSmall();

}  // namespace cgoprof
