import { symlinkSync } from 'node:fs';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { attach } from '../../../src/commands/attach.js';
import { detach } from '../../../src/commands/detach.js';
import { ATTACH_RESULT, FakeWorld, mapsLine } from '../../support/fake-world.js';
import { ATTACHED, recordedProcess } from '../../support/profiled-process.js';

let world: FakeWorld;
beforeEach(() => {
  world = new FakeWorld();
});
afterEach(() => world.remove());

const OPTIONS = { skipAccount: false, trustSeccomp: false, json: false };

it('attach says what it did to the process, and how to go on', async () => {
  world.process(10, { maps: mapsLine('/srv/server', 1) });
  symlinkSync('/srv/server', world.path('proc/10/exe'));
  expect(await attach(world.context(), 10, OPTIONS)).toEqual({ code: 0 });
  expect(world.err.split('\n')).toEqual([
    'cgoprof: attached to pid 10 (/srv/server): one thread was stopped for 1.2 ms',
    expect.stringMatching(/^cgoprof: look at it: cgoprof heap 10 /),
    '',
  ]);
  expect(world.out).toBe('');
});

it('attach tells machines on standard output', async () => {
  world.process(10, { maps: mapsLine('/srv/server', 1) });
  world.write('proc/10/comm', 'evil\x1b[2J\n');
  await attach(world.context(), 10, { ...OPTIONS, json: true });
  expect(JSON.parse(world.out)).toMatchObject({ pid: 10, command: 'evil [2J', how: 'injected', stoppedNs: 1_234_567 });
});

it('attach fails with a reason', async () => {
  await expect(attach(world.context(), 10, OPTIONS)).rejects.toMatchObject({ exitCode: 1 });
  expect([world.out, world.err]).toEqual(['', '']);
});

it('detach says what it did, and that nothing is lost', async () => {
  const segment = recordedProcess(world, 10, { library: ATTACHED });
  expect(await detach(world.context(), 10, { ...OPTIONS, json: true })).toEqual({ code: 0 });
  expect(world.err.split('\n')).toEqual([
    'cgoprof: detached from pid 10: one thread was stopped for 1.2 ms',
    'cgoprof: what was recorded stays: cgoprof heap 10 -o FILE',
    '',
  ]);
  expect(JSON.parse(world.out)).toMatchObject({ pid: 10, how: 'injected', segment, patched: ATTACH_RESULT.patched });
});
