/** Taking a profile leaves the process alone: nothing stops it, signals it, traces it or writes to it. */
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Workshop } from '../support/cgoprof.js';
import { buildTargetAside, ProfiledTarget } from '../support/profiled-target.js';

/** Every system call by which one process can act on another, or on its files. */
const REACHING = [
  'ptrace',
  'kill',
  'tkill',
  'tgkill',
  'rt_sigqueueinfo',
  'rt_tgsigqueueinfo',
  'pidfd_open',
  'pidfd_send_signal',
  'process_vm_readv',
  'process_vm_writev',
  'process_madvise',
  'perf_event_open',
  'bpf',
];

let shop: Workshop;
let target: ProfiledTarget;

beforeAll(async () => {
  shop = new Workshop();
  target = await ProfiledTarget.start(shop, await buildTargetAside('crossing'), 'end.pb.gz');
});

afterAll(() => {
  target.destroy();
  shop.remove();
});

test('heap makes no system call that reaches into the target, and opens none of its files for writing', async () => {
  const calls = shop.path('calls');
  const profile = shop.path('merged.pb.gz');
  const trace = ['strace', '-f', '-qq', '-e', `trace=openat,${REACHING.join(',')}`, '-e', 'signal=none', '-o', calls];
  const { pid } = target.process;
  const { code, stderr } = await shop.launch([...trace, ...shop.tool, 'heap', `${pid}`, '-o', profile]).finished;
  expect(stderr).toMatch(/^cgoprof: wrote /m);
  expect(code).toBe(0);

  const lines = readFileSync(calls, 'utf8').trimEnd().split('\n');
  const opened = lines.filter((line) => line.includes(' openat('));
  expect(opened.filter((line) => line.includes(`/proc/${pid}/`)).length).toBeGreaterThan(0);
  expect(lines.filter((line) => !line.includes(' openat(') && !/<\.\.\.|\+\+\+/.test(line))).toEqual([]);
  const written = opened.filter((line) => /O_WRONLY|O_RDWR|O_CREAT/.test(line));
  expect(written.filter((line) => line.includes('/proc/') || line.includes(shop.segments))).toEqual([]);
});
