// See start.h.
#include "preload/start.h"

#include "preload/go_program.h"
#include "preload/prune.h"
#include "preload/raw_syscall.h"
#include "preload/recorder.h"
#include "preload/text.h"

namespace cgoprof {

bool PrepareInDirectory(const StartSettings& settings) {
  const uint64_t own_run = settings.is_kept ? settings.run_id : 0;
  const uint64_t lost = PruneDeadSegments(settings.directory, own_run);
  SegmentConfig config = {settings.directory, settings.rate, settings.run_id, CapacityFor(settings.rate), lost};
  const bool is_go = IsGoProgram();
  bool prepared;
  do {
    prepared = PrepareRecorder(config, is_go);
  } while (!prepared && PruneOldestIfFull(settings.directory, own_run, &config.pruned_segments));
  return prepared;
}

bool DefaultDirectory(char* buffer, size_t size) {
  const uint64_t user = static_cast<uint64_t>(RawSyscall(SYS_geteuid));
  return TextBuilder(buffer, size).Add("/dev/shm/cgoprof-").Add(user).ok();
}

}  // namespace cgoprof
