// The frame with which the kernel interrupts a thread for a signal handler, made by hand: a thread that runs anything
// on top of one, and returns from it as a handler does, goes on exactly where it was, whoever is watching it or not.
//
// Format: Linux arch/x86/include/asm/sigframe.h (struct rt_sigframe), uapi/asm/sigcontext.h,
// arch/x86/kernel/fpu/signal.c.
#ifndef CGOPROF_ADDON_SIGNAL_FRAME_H_
#define CGOPROF_ADDON_SIGNAL_FRAME_H_

#include <stdint.h>
#include <sys/user.h>

#include <string>

namespace cgoprof {

// What is to be restored.
struct ThreadState {
  user_regs_struct registers;
  std::string extended;  // the register set NT_X86_XSTATE
  uint64_t signal_mask;
};

struct SignalFrame {
  uint64_t address;   // the stack pointer with which a handler would start; its return address is `restorer`
  std::string bytes;  // to be written there
};

// A frame that ends at or below `top`, and restores `state`; `restorer` is code that calls rt_sigreturn.
SignalFrame MakeSignalFrame(const ThreadState& state, uint64_t top, uint64_t restorer);

// The least size in bytes of the extended state that a frame must hold for `extended`: what the processor has switched
// on, without the tiles of AMX unless the thread uses them, because the kernel takes no more then.
uint32_t FrameExtendedBytes(const std::string& extended);

}  // namespace cgoprof

#endif  // CGOPROF_ADDON_SIGNAL_FRAME_H_
