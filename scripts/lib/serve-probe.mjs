// Loaded into `cgoprof serve` (--import) by scripts/bench-serve.mjs: tells over the IPC channel what the process holds,
// after a collection, and for how long it was deaf.
import { monitorEventLoopDelay } from 'node:perf_hooks';

const delay = monitorEventLoopDelay({ resolution: 1 });
delay.enable();

process.on('message', () => {
  const longestBlockMs = delay.max / 1e6;
  globalThis.gc?.();
  delay.reset();
  process.send?.({ heapUsed: process.memoryUsage().heapUsed, longestBlockMs });
});
// Whoever measures must not keep it alive.
process.channel?.unref();
