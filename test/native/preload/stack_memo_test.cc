// Stacks that are so like the last one that a walk which remembers it could be misled; a walk that remembers nothing is
// the oracle. And the memos themselves.
#include "preload/stack_memo.h"

#include <elf.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <memory>
#include <thread>
#include <vector>

#include "preload/unwinder.h"
#include "test_segment.h"

namespace cgoprof {
struct Call;
}
using CallNext = void(cgoprof::Call*);

// Frames whose every byte is known.
extern "C" {
// Calls `next` from below `bytes` of zeros; has a frame pointer. `bytes` is a multiple of 16.
void CallBelowZeros(size_t bytes, CallNext* next, cgoprof::Call* call);
// Calls call->capture with a frame pointer of 0, and has none itself.
CallNext CallWithoutFramePointer;
// Calls call->through, from a frame without frame pointer that holds 120 bytes of zeros.
CallNext CallThroughZeros;
// Calls `next` on another stack, which ends at `top`; where walks of it end.
void CallOnStack(char* top, CallNext* next, cgoprof::Call* call);
// Two that are alike: both call CallWithoutFramePointer.
CallNext CallFromHere;
CallNext CallFromThere;
}

__asm__(R"(
        .text
CallBelowZeros:
        .cfi_startproc
        push    %rbp
        .cfi_def_cfa_offset 16
        .cfi_offset %rbp, -16
        mov     %rsp, %rbp
        .cfi_def_cfa_register %rbp
        sub     %rdi, %rsp
        mov     %rdi, %rcx
        mov     %rsp, %rdi
        xor     %eax, %eax
        rep stosb
        mov     %rdx, %rdi
        call    *%rsi
        leave
        .cfi_def_cfa %rsp, 8
        ret
        .cfi_endproc

CallWithoutFramePointer:
        .cfi_startproc
        push    %rbp
        .cfi_def_cfa_offset 16
        .cfi_offset %rbp, -16
        xor     %ebp, %ebp
        call    *(%rdi)
        pop     %rbp
        .cfi_restore %rbp
        .cfi_def_cfa_offset 8
        ret
        .cfi_endproc

CallThroughZeros:
        .cfi_startproc
        sub     $120, %rsp
        .cfi_adjust_cfa_offset 120
        mov     %rdi, %rdx
        mov     $120, %ecx
        mov     %rsp, %rdi
        xor     %eax, %eax
        rep stosb
        mov     %rdx, %rdi
        call    *8(%rdi)
        add     $120, %rsp
        .cfi_adjust_cfa_offset -120
        ret
        .cfi_endproc

CallOnStack:
        .cfi_startproc
        push    %rbp
        .cfi_def_cfa_offset 16
        .cfi_offset %rbp, -16
        mov     %rsp, %rbp
        .cfi_def_cfa_register %rbp
        .cfi_undefined %rip
        mov     %rdi, %rsp
        mov     %rdx, %rdi
        call    *%rsi
        leave
        .cfi_def_cfa %rsp, 8
        ret
        .cfi_endproc

        .macro  calling_without_frame_pointer
        .cfi_startproc
        sub     $8, %rsp
        .cfi_adjust_cfa_offset 8
        call    CallWithoutFramePointer
        add     $8, %rsp
        .cfi_adjust_cfa_offset -8
        ret
        .cfi_endproc
        .endm
CallFromHere:
        calling_without_frame_pointer
CallFromThere:
        calling_without_frame_pointer
)");

namespace cgoprof {

struct Call {
  // known to the assembly above
  CallNext* capture;
  CallNext* through;

  size_t inner_bytes;
  uintptr_t sp;  // at the capture
  Stack remembered;
  Stack fresh;
};
static_assert(offsetof(Call, capture) == 0 && offsetof(Call, through) == 8);

namespace {

struct Walkers {
  Walkers() {
    modules->Init(segment.writer());
    unwinder->Init(modules.get(), boundary.get(), /*dense=*/true);
  }
  TestSegment segment;
  std::unique_ptr<ModuleTable> modules = std::make_unique<ModuleTable>();
  std::unique_ptr<GoBoundary> boundary{new GoBoundary()};
  std::unique_ptr<Unwinder> unwinder{new Unwinder()};
  HomeStack home = {};
};
Walkers* walkers;

// What a hook's slow path does, twice: with what the last walk left, and with nothing.
__attribute__((noinline)) void Capture(Call* call) {
  const uintptr_t* frame = static_cast<const uintptr_t*>(__builtin_frame_address(0));
  const Registers caller = {frame[1], reinterpret_cast<uintptr_t>(frame + 2), frame[0]};
  call->sp = caller.sp;
  walkers->modules->RefreshIfStale();
  walkers->unwinder->Walk(caller, &walkers->home, &call->remembered);
  const std::unique_ptr<Unwinder> forgetful{new Unwinder()};
  forgetful->Init(walkers->modules.get(), walkers->boundary.get(), /*dense=*/false);
  forgetful->Walk(caller, &walkers->home, &call->fresh);
}

void ExpectWhole(const Call& call) {
  EXPECT_EQ(call.fresh.flags, 0);
  EXPECT_EQ(call.remembered.flags, 0);
  const auto frames = [](const Stack& stack) {
    return std::vector<uint64_t>(stack.frames, stack.frames + stack.depth);
  };
  EXPECT_EQ(frames(call.remembered), frames(call.fresh));
}

class StackMemoWalk : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(walkers_.segment.created());
    walkers = &walkers_;
  }
  void TearDown() override { walkers = nullptr; }
  Walkers walkers_;
};

__attribute__((noinline)) void CallInner(Call* call) {
  CallBelowZeros(call->inner_bytes, &CallWithoutFramePointer, call);
  __asm__ volatile("");  // no tail call
}

// Two frames of changing sizes, which add up to the same, change places. Below them all registers are the same; what
// differs is the frame pointer that CallWithoutFramePointer saved.
TEST_F(StackMemoWalk, SeesThatASavedFramePointerIsAnother) {
  constexpr size_t kBytes[] = {64, 256};
  uintptr_t sp = 0;
  for (int i = 0; i < 8; i++) {
    Call call = {};
    call.capture = &Capture;
    call.inner_bytes = kBytes[i % 2];
    CallBelowZeros(kBytes[1 - i % 2], &CallInner, &call);
    ExpectWhole(call);
    EXPECT_TRUE(call.sp == sp || i == 0) << "the stacks are not as alike as they should be";
    sp = call.sp;
  }
}

// Of another stack all that is remembered may still be true.
TEST_F(StackMemoWalk, SeesThatItIsOnAnotherStack) {
  constexpr size_t kBytes = 1 << 18;
  char* const stacks =
      static_cast<char*>(mmap(nullptr, 2 * kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  ASSERT_NE(stacks, MAP_FAILED);
  for (int i = 0; i < 8; i++) {
    Call call = {};
    call.capture = &Capture;
    const int stack = i / 4;  // the first is walked often enough to be remembered
    CallOnStack(stacks + (stack + 1) * kBytes, stack == 0 ? &CallFromHere : &CallFromThere, &call);
    ExpectWhole(call);
  }
  munmap(stacks, 2 * kBytes);
}

// A place for libraries, each of which covers all of the one before it.
class LibraryPlace {
 public:
  LibraryPlace() { address_ = Map(nullptr, kBytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); }
  ~LibraryPlace() { munmap(address_, kBytes); }

  // Loads a library that needs no relocation. Returns its entry point; nullptr if it cannot be read.
  CallNext* Load(const char* path) {
    Map(address_, kBytes, PROT_NONE, MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    Elf64_Ehdr header = {};
    if (pread(fd, &header, sizeof(header), 0) != static_cast<ssize_t>(sizeof(header))) return nullptr;
    for (uint32_t i = 0; i < header.e_phnum; i++) {
      Elf64_Phdr segment = {};
      const off_t at = static_cast<off_t>(header.e_phoff + i * sizeof(segment));
      EXPECT_EQ(pread(fd, &segment, sizeof(segment), at), static_cast<ssize_t>(sizeof(segment)));
      if (segment.p_type == PT_LOAD) MapSegment(fd, segment);
    }
    close(fd);
    return reinterpret_cast<CallNext*>(address_ + header.e_entry);
  }

 private:
  static constexpr size_t kBytes = 1 << 20;

  static char* Map(char* address, size_t bytes, int rights, int flags, int fd, off_t offset) {
    void* const mapped = mmap(address, bytes, rights, flags, fd, offset);
    EXPECT_NE(mapped, MAP_FAILED);
    return static_cast<char*>(mapped);
  }

  void MapSegment(int fd, const Elf64_Phdr& segment) {
    const uint64_t in_page = segment.p_vaddr % 4096;
    const int rights = ((segment.p_flags & PF_R) != 0 ? PROT_READ : 0) |
                       ((segment.p_flags & PF_W) != 0 ? PROT_WRITE : 0) |
                       ((segment.p_flags & PF_X) != 0 ? PROT_EXEC : 0);
    ASSERT_LE(segment.p_vaddr + segment.p_memsz, kBytes);
    Map(address_ + segment.p_vaddr - in_page, segment.p_filesz + in_page, rights, MAP_FIXED | MAP_PRIVATE, fd,
        static_cast<off_t>(segment.p_offset - in_page));
  }

  char* address_;
};

TEST_F(StackMemoWalk, SeesThatALibraryIsAnother) {
  LibraryPlace place;
  const auto call_through = [](CallNext* library, size_t bytes) {
    Call call = {};
    call.capture = &Capture;
    call.through = library;
    CallBelowZeros(bytes, &CallThroughZeros, &call);
    ExpectWhole(call);
    return call.sp;
  };
  for (int round = 0; round < 3; round++) {
    CallNext* const narrow = place.Load(CGOPROF_NARROW_FRAME);
    ASSERT_NE(narrow, nullptr);
    uintptr_t sp = 0;
    walkers->modules->NoteUnload();
    for (int i = 0; i < 3; i++) sp = call_through(narrow, 64);
    CallNext* const wide = place.Load(CGOPROF_WIDE_FRAME);
    ASSERT_EQ(wide, narrow);
    walkers->modules->NoteUnload();
    for (int i = 0; i < 3; i++)
      EXPECT_EQ(call_through(wide, 32), sp) << "the stacks are not as alike as they should be";
  }
}

// ---- The memos ----

class StackMemoTest : public testing::Test {
 protected:
  StackMemo* Take() { return StackMemo::Take(memo_.get(), 1); }
  StackMemo* TakeOnAnotherThread() {
    StackMemo* taken = nullptr;
    std::thread([this, &taken] { taken = Take(); }).join();
    return taken;
  }
  std::unique_ptr<StackMemo> memo_{new StackMemo()};
};

TEST_F(StackMemoTest, BelongsToOneThreadAtATime) {
  StackMemo* const memo = Take();
  ASSERT_EQ(memo, memo_.get());
  EXPECT_EQ(TakeOnAnotherThread(), nullptr);
  memo->Return(false);
  EXPECT_EQ(TakeOnAnotherThread(), memo);
}

TEST_F(StackMemoTest, RemembersWhatItIsToKeep) {
  StackMemo* const memo = Take();
  memo->next()->depth = 17;
  memo->Return(true);
  ASSERT_EQ(Take(), memo);
  EXPECT_EQ(memo->last().depth, 17u);
  memo->next()->depth = 19;
  memo->Return(false);
  EXPECT_EQ(memo->last().depth, 17u);
}

}  // namespace
}  // namespace cgoprof
