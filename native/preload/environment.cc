// See environment.h.
#include "preload/environment.h"

#include <string.h>

#include "preload/sampler.h"
#include "preload/start.h"
#include "preload/text.h"

namespace cgoprof {
namespace {

constexpr char kLibraryName[] = "libcgoprof.so";
constexpr char kPrefix[] = "CGOPROF_";

const char* Value(char** environment, const char* name) {
  const size_t length = strlen(name);
  for (; *environment != nullptr; environment++) {
    if (strncmp(*environment, name, length) == 0 && (*environment)[length] == '=') return *environment + length + 1;
  }
  return nullptr;
}

uint64_t Number(const char* text, int base, uint64_t otherwise) {
  uint64_t value;
  const char* end;
  if (text == nullptr || !ParseNumber(text, base, &value, &end) || *end != '\0' || value == 0) return otherwise;
  return value;
}

bool IsSeparator(char c) { return c == ':' || c == ' '; }

bool IsOurs(const char* entry, size_t length) {
  constexpr size_t kNameBytes = sizeof(kLibraryName) - 1;
  return length >= kNameBytes && memcmp(entry + length - kNameBytes, kLibraryName, kNameBytes) == 0 &&
         (length == kNameBytes || entry[length - kNameBytes - 1] == '/');
}

// Takes our entries out of a list as LD_PRELOAD has it; the result is never longer. True if nothing is left.
bool RemoveOurEntry(char* list) {
  char* out = list;
  const char* in = list;
  while (*in != '\0') {
    const char* end = in;
    while (*end != '\0' && !IsSeparator(*end)) end++;
    const size_t length = static_cast<size_t>(end - in);
    if (length > 0 && !IsOurs(in, length)) {
      if (out != list) *out++ = ':';
      memmove(out, in, length);
      out += length;
    }
    in = *end == '\0' ? end : end + 1;
  }
  *out = '\0';
  return out == list;
}

// True if nothing of the entry is to stay; takes our part out of LD_PRELOAD.
bool IsToGo(char* entry) {
  constexpr char kPreload[] = "LD_PRELOAD=";
  constexpr size_t kPreloadBytes = sizeof(kPreload) - 1;
  if (strncmp(entry, kPrefix, sizeof(kPrefix) - 1) == 0) return true;
  return strncmp(entry, kPreload, kPreloadBytes) == 0 && RemoveOurEntry(entry + kPreloadBytes);
}

}  // namespace

bool ReadSettings(char** environment, Settings* settings) {
  const char* profile = Value(environment, "CGOPROF_PROFILE");
  settings->profile = profile != nullptr && *profile != '\0' ? profile : "go";
  settings->rate = Number(Value(environment, "CGOPROF_RATE"), 10, kDefaultSampleRate);
  settings->run_id = Number(Value(environment, "CGOPROF_RUN_ID"), 16, 0);
  settings->keep = Number(Value(environment, "CGOPROF_KEEP"), 10, 0) == 1;
  settings->follow = Number(Value(environment, "CGOPROF_FOLLOW"), 10, 0) == 1;
  const char* given = Value(environment, "CGOPROF_DIR");
  if (given == nullptr || given[0] != '/') return DefaultDirectory(settings->directory, sizeof(settings->directory));
  return TextBuilder(settings->directory, sizeof(settings->directory)).Add(given).ok();
}

void LeaveEnvironment(char** environment, Removal removal) {
  char** out = environment;
  char** in = environment;
  for (; *in != nullptr; in++) {
    if (IsToGo(*in)) {
      if (removal == Removal::kCompact) continue;
      **in = '\0';
    }
    *out++ = *in;
  }
  while (out != in) *out++ = nullptr;
}

}  // namespace cgoprof
