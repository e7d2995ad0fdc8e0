// Sites in C++.
#include "sites.h"

namespace {

struct Record {
  char bytes[1087];
};

}  // namespace

void leak_new(void) {
  for (int i = 0; i < 167; i++) keep(new Record);  // site: new
}

void leak_new_array(void) {
  for (int i = 0; i < 173; i++) keep(new char[1091]);  // site: new-array
}
