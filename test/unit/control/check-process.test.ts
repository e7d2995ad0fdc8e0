import { afterEach, beforeEach, expect, it } from 'vitest';
import { checkProcess, checkStoppable, gone, traced } from '../../../src/control/check-process.js';
import { type FakeProcess, FakeWorld } from '../../support/fake-world.js';

let world: FakeWorld;
beforeEach(() => {
  world = new FakeWorld();
});
afterEach(() => world.remove());

it.each<[string, FakeProcess | undefined, string, RegExp]>([
  ['that never was', undefined, 'no such process', /container/],
  ['that is a thread', { status: { Tgid: '4711' } }, 'a thread of pid 4711', /4711/],
  ['of the kernel', { flags: 0x0020_8040 }, 'a thread of the kernel', /ps -ef/],
  ['that is a zombie', { state: 'Z', parent: 97 }, 'a zombie: it has ended', /pid 97/],
  ['that is being reaped', { state: 'X' }, 'a zombie: it has ended', /pid 1,/],
])('a process %s is refused', (_, fake, why, hint) => {
  if (fake !== undefined) world.process(10, fake);
  expect(() => checkProcess(world.context(), 10)).toThrow(
    expect.objectContaining({ message: `pid 10: ${why}`, hint: expect.stringMatching(hint), exitCode: 1 }),
  );
});

it('the tool itself is refused', () => {
  world.process(process.pid);
  expect(() => checkProcess(world.context(), process.pid)).toThrow(`pid ${process.pid}: cgoprof itself`);
});

it.each<FakeProcess>([{}, { status: { Tgid: '10', TracerPid: '0' } }, { state: 'R' }, { state: 'D' }])(
  'a process such as %j is not',
  (fake) => {
    world.process(10, fake);
    checkProcess(world.context(), 10);
    checkStoppable(world.context(), 10);
  },
);

it('a stopped process may be asked, but not made to run a thread', () => {
  world.process(10, { state: 'T' });
  checkProcess(world.context(), 10);
  expect(() => checkStoppable(world.context(), 10)).toThrow(
    expect.objectContaining({
      message: 'pid 10: stopped by a signal, so that nothing can run in it',
      hint: 'Let it go on: kill -CONT 10',
    }),
  );
});

it('who traces a process is told, with its command if that can be seen', () => {
  world.process(10, { state: 't', status: { TracerPid: '12' } });
  expect(() => checkStoppable(world.context(), 10)).toThrow('pid 10: traced by pid 12 already');
  world.process(12);
  world.write('proc/12/comm', 'gdb\n');
  expect(() => checkStoppable(world.context(), 10)).toThrow('pid 10: traced by pid 12 (gdb) already');
  expect(traced(world.context(), 10, 0).message).toContain('traced by a process that cannot be seen from here already');
});

it('a process that has ended meanwhile is told like any other', () => {
  expect(gone(10).message).toBe('pid 10: no such process: it has ended');
});
