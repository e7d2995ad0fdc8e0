import { chownSync } from 'node:fs';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { Context } from '../../../src/context.js';
import { notPermitted } from '../../../src/control/not-permitted.js';
import { FakeWorld } from '../../support/fake-world.js';

let world: FakeWorld;
beforeEach(() => {
  world = new FakeWorld();
});
afterEach(() => world.remove());

const OWN = process.getuid?.() ?? 0;
const ids = (id: number): string => Array(4).fill(id).join('\t');

interface Case {
  readonly scope?: number;
  /** Of ours. */
  readonly capabilities?: string;
  readonly uid?: number;
  /** Of the process. */
  readonly itsUid?: number;
  readonly itsGid?: number;
}

function said({ scope, capabilities = '0000000000000000', uid = 1000, itsUid = uid, itsGid = 1000 }: Case) {
  if (scope !== undefined) world.write('proc/sys/kernel/yama/ptrace_scope', `${scope}\n`);
  world.process('self', { status: { CapEff: capabilities } });
  world.process(10, { status: { Uid: ids(itsUid), Gid: ids(itsGid) } });
  const context: Context = world.context({ uid, gid: 1000 });
  const { message, hint } = notPermitted(context, 10, 'attach 10');
  return { why: message.replace('pid 10: ', ''), hint };
}

const SUDO = 'As root: sudo cgoprof attach 10';

it.each<[Case, RegExp, RegExp]>([
  [{ itsUid: 1001 }, /^it belongs to another user$/, /^As root: sudo cgoprof attach 10$/],
  [{ itsGid: 1001 }, /^it belongs to another user$/, /sudo/],
  [{ itsUid: 1001, scope: 1 }, /^it belongs to another user$/, /sudo/],
  [{ scope: 1 }, /nobody but a parent trace it \(kernel.yama.ptrace_scope is 1\)$/, /sudo .*--cap-add=SYS_PTRACE/],
  [{ scope: 2 }, /only those with CAP_SYS_PTRACE .*\(kernel.yama.ptrace_scope is 2\)$/, /sudo/],
  [{ scope: 3 }, /nobody trace a process \(kernel.yama.ptrace_scope is 3\)$/, /reboot.*cgoprof run/],
  [{ scope: 3, capabilities: '000001ffffffffff' }, /ptrace_scope is 3/, /reboot/],
  [{ capabilities: '0000000000080000' }, /though we have CAP_SYS_PTRACE$/, /user namespace/],
  [
    { uid: 0, capabilities: '00000000a80425fb' },
    /^the kernel forbids it: this root has no CAP_SYS_PTRACE$/,
    /--target/,
  ],
  [{ uid: 0, capabilities: '00000000a80425fb', scope: 1 }, /this root has no CAP_SYS_PTRACE$/, /--cap-add=SYS_PTRACE/],
])('%j', (given, why, hint) => {
  const words = said(given);
  expect(words.why).toMatch(why);
  expect(words.hint).toMatch(hint);
});

it.runIf(OWN === 0)('a process that is not dumpable is known by whose its files in /proc are', () => {
  expect(said({})).toEqual({
    why: expect.stringMatching(/^it is closed to its own user: .*PR_SET_DUMPABLE/),
    hint: SUDO,
  });
  chownSync(world.path('proc/10'), 1000, 1000);
  expect(said({}).why).toMatch(/^it is closed/);
  chownSync(world.path('proc/10/stat'), 1000, 1000);
  expect(said({})).toEqual({ why: 'the kernel does not let us trace it', hint: SUDO });
});

it('nothing is guessed of a process that has ended', () => {
  world.process('self');
  const { message } = notPermitted(world.context({ uid: 1000 }), 10, 'attach 10');
  expect(message).toBe('pid 10: the kernel does not let us trace it');
});
