// Runs every file of a fuzzer's corpus once, without a fuzzer: what was found stays found, and corpora do not rot.
//
//     replay_corpus FOLDER
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

int main(int argc, char** argv) {
  if (argc != 2 || !std::filesystem::is_directory(argv[1])) {
    fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
    return 2;
  }
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(argv[1])) {
    std::ifstream file(entry.path(), std::ios::binary);
    // Of just its size, for AddressSanitizer to watch.
    std::vector<uint8_t> bytes{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
    bytes.shrink_to_fit();
    printf("%s\n", entry.path().c_str());
    fflush(stdout);  // the last line names the input that failed
    LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
    files++;
  }
  printf("%d inputs\n", files);
  return files > 0 ? 0 : 1;
}
