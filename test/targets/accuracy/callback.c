// The C between Go and Go. On its own, because it needs the header that cgo makes, and sites.c must build without Go
// too.
#include "_cgo_export.h"

static volatile unsigned callbacks;

void call_go(void) {
  goCallback();
  callbacks++;  // after the call, which would take the place of this frame otherwise
}
