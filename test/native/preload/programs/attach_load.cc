// Attaches by AttachLoad, as the tool does: from a mapping of the library's file, on a thread of its own, the library a
// file of memory; and says what is left of it: attach_load LIBRARY LOADED [REASON]
#include <elf.h>
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include "attach_self.h"

using namespace attach_self;

// A whole file, read-only.
static const char* MapFile(const char* path, size_t* bytes) {
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  struct stat status;
  if (fd < 0 || fstat(fd, &status) != 0) _exit(90);
  *bytes = static_cast<size_t>(status.st_size);
  void* const file = mmap(nullptr, *bytes, PROT_READ, MAP_PRIVATE, fd, 0);
  close(fd);
  return static_cast<const char*>(file);
}

static const Elf64_Shdr* FindSection(const char* file, const char* name) {
  const Elf64_Ehdr* const header = reinterpret_cast<const Elf64_Ehdr*>(file);
  const Elf64_Shdr* const sections = reinterpret_cast<const Elf64_Shdr*>(file + header->e_shoff);
  const char* const names = file + sections[header->e_shstrndx].sh_offset;
  for (int i = 0; i < header->e_shnum; i++) {
    if (strcmp(names + sections[i].sh_name, name) == 0) return &sections[i];
  }
  _exit(91);
}

static uint64_t FindSymbol(const char* file, const char* name) {
  const Elf64_Shdr* const table = FindSection(file, ".dynsym");
  const Elf64_Sym* symbol = reinterpret_cast<const Elf64_Sym*>(file + table->sh_offset);
  const char* const names = file + FindSection(file, ".dynstr")->sh_offset;
  while (strcmp(names + symbol->st_name, name) != 0) symbol++;
  return symbol->st_value;
}

// Mappings and open files; of each, how many.
static int Count(const char* what) {
  char path[64], line[4096];
  int count = 0;
  snprintf(path, sizeof(path), "/proc/self/%s", what);
  FILE* const file = fopen(path, "r");
  while (fgets(line, sizeof(line), file) != nullptr) count += strstr(line, "/memfd:loaded") != nullptr;
  fclose(file);
  return count;
}

static uint64_t AddressOf(void* function) { return reinterpret_cast<uint64_t>(function); }

int main(int, char** argv) {
  size_t bytes;
  const char* const file = MapFile(argv[1], &bytes);
  const int fd = memfd_create("loaded", MFD_CLOEXEC);
  if (write(fd, file, bytes) != static_cast<ssize_t>(bytes)) return 92;
  const Elf64_Shdr* const code = FindSection(file, cgoprof::kAttachLoadSection);
  AttachMailbox* const mailbox = NewMailbox(cgoprof::kAttachAction, 1);
  mailbox->released = 0;
  snprintf(mailbox->library_path, sizeof(mailbox->library_path), argv[2], fd);
  mailbox->library_fd = fd;
  mailbox->dlopen_flags = RTLD_NOW | RTLD_LOCAL;
  mailbox->dlopen = AddressOf(reinterpret_cast<void*>(&dlopen));
  mailbox->dlerror = AddressOf(reinterpret_cast<void*>(&dlerror));
  mailbox->pthread_detach = AddressOf(reinterpret_cast<void*>(&pthread_detach));
  mailbox->munmap = AddressOf(reinterpret_cast<void*>(&munmap));
  mailbox->run_offset = FindSymbol(file, cgoprof::kAttachRunName);
  mailbox->area = reinterpret_cast<uint64_t>(mailbox);
  mailbox->area_bytes = 4096;
  mailbox->load_code_bytes = (code->sh_size + 4095) & ~uint64_t{4095};
  void* const mapped = mmap(nullptr, mailbox->load_code_bytes, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd,
                            static_cast<off_t>(code->sh_offset));
  mailbox->load_code = reinterpret_cast<uint64_t>(mapped);
  char* const load = static_cast<char*>(mapped) + FindSymbol(file, cgoprof::kAttachLoadName) - code->sh_addr;

  pthread_t thread;
  pthread_create(&thread, nullptr, reinterpret_cast<void* (*)(void*)>(load), mailbox);
  uint32_t progress;
  while ((progress = __atomic_load_n(&mailbox->progress, __ATOMIC_ACQUIRE)) < cgoprof::kMailDone) usleep(100);
  void* blocks[101];
  Fill(blocks, 1013);
  printf("%s\n", progress == cgoprof::kMailDone ? "done" : mailbox->failure);
  __atomic_store_n(&mailbox->released, 1, __ATOMIC_RELEASE);
  // The thread takes away first its code, or last; then it is gone, and with it the mailbox.
  char tasks[64] = "/proc/self/task";
  struct stat status;
  do {
    usleep(1000);
    stat(tasks, &status);
  } while (status.st_nlink != 3);
  unsigned char in_memory;
  const bool area_is_mapped = mincore(mailbox, 4096, &in_memory) == 0;
  const bool code_is_mapped = mincore(mapped, 4096, &in_memory) == 0;
  printf("area %d, code %d, open %d, mapped %d\n", area_is_mapped, code_is_mapped, fcntl(fd, F_GETFD) != -1,
         Count("maps") != 0);
  fflush(stdout);
  _exit(0);
}
