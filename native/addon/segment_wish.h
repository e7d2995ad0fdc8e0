// Tells the writer of a segment what the tool wants of it: the one thing that the tool writes into a segment.
#ifndef CGOPROF_ADDON_SEGMENT_WISH_H_
#define CGOPROF_ADDON_SEGMENT_WISH_H_

#include "addon/native_error.h"
#include "shared/segment_layout.h"

namespace cgoprof {

// Writes Header::wish. Nothing is written into what is no segment, or that of a writer which does not know wishes.
// Codes: those of ReadSegmentHeader.
NativeError SetSegmentWish(const char* path, SegmentWish wish);

}  // namespace cgoprof

#endif  // CGOPROF_ADDON_SEGMENT_WISH_H_
