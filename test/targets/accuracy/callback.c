// The C between Go and Go. On its own, because it needs the header that cgo makes, and sites.c must build without Go
// too.
#include "_cgo_export.h"

void call_go(void) { goCallback(); }
