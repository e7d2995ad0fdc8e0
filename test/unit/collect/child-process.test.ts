import { existsSync, readFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type RunningCommand, startCommand } from '../../../src/collect/child-process.js';
import { FakeWorld } from '../../support/fake-world.js';

let world: FakeWorld;
beforeEach(() => {
  world = new FakeWorld();
});
afterEach(() => world.remove());

/** A shell script that says through files how far it is, because its output is ours. */
const start = (script: string, env: Record<string, string> = {}): Promise<RunningCommand> =>
  startCommand(
    { path: '/bin/sh', name: 'my-shell', args: ['-c', script] },
    { PATH: '/bin:/usr/bin', DIR: world.root, ...env },
    world.procRoot,
  );

async function appears(name: string): Promise<void> {
  while (!existsSync(world.path(name))) await new Promise((resolve) => setTimeout(resolve, 5));
}

const says = (name: string): string => readFileSync(world.path(name), 'utf8').trim();

describe('startCommand', () => {
  it('gives it its name, arguments and environment', async () => {
    const command = await start('echo "$0 $WORD" >"$DIR/said"; tr "\\0" " " </proc/$$/cmdline >"$DIR/cmdline"', {
      WORD: 'x',
    });
    expect(await command.ended).toEqual({ code: 0 });
    expect(says('said')).toBe('my-shell x');
    expect(says('cmdline')).toMatch(/^my-shell -c /);
  });

  it.each([0, 1, 3, 255])('ends with its status %d', async (code) => {
    expect(await (await start(`exit ${code}`)).ended).toEqual({ code });
  });

  it.each(['KILL', 'TERM', 'SEGV'])('ends with its signal %s', async (signal) => {
    expect(await (await start(`kill -${signal} $$`)).ended).toEqual({ signal: `SIG${signal}` });
  });

  it('says why it cannot be started', async () => {
    const before = process.listenerCount('SIGTERM');
    const path = world.write('not-a-program', '');
    await expect(startCommand({ path, name: './it', args: [] }, {}, world.procRoot)).rejects.toMatchObject({
      message: 'run: ./it: permission denied',
    });
    expect(process.listenerCount('SIGTERM')).toBe(before);
  });

  it('refuses what the system cannot take, too', async () => {
    const args = ['x'.repeat(3_000_000)];
    await expect(startCommand({ path: '/bin/true', name: 'true', args }, {}, world.procRoot)).rejects.toMatchObject({
      message: 'run: true: argument list too long',
    });
  });
});

describe('signals', () => {
  const SCRIPT = `
    for s in INT TERM HUP QUIT USR1 USR2 WINCH ABRT ALRM VTALRM XCPU PWR URG IO; do trap "echo $s >>$DIR/got; exit 7" $s; done
    : >$DIR/ready
    while :; do sleep 0.01; done`;

  it.each(
    'SIGINT SIGTERM SIGHUP SIGQUIT SIGUSR1 SIGUSR2 SIGWINCH SIGABRT SIGALRM SIGVTALRM SIGXCPU SIGPWR SIGURG SIGIO'.split(
      ' ',
    ) as NodeJS.Signals[],
  )('%s is passed on', async (signal) => {
    const command = await start(SCRIPT);
    await appears('ready');
    process.emit(signal, signal);
    expect(await command.ended).toEqual({ code: 7 });
    expect(`SIG${says('got')}`).toBe(signal);
  });

  it('SIGCONT wakes it up', async () => {
    const command = await start(': >$DIR/ready; kill -STOP $$; exit 5');
    await appears('ready');
    const stopped = () => readFileSync(`/proc/${command.pid}/stat`, 'utf8').includes(') T ');
    while (!stopped()) await new Promise((resolve) => setTimeout(resolve, 5));
    process.emit('SIGCONT', 'SIGCONT');
    expect(await command.ended).toEqual({ code: 5 });
  });

  it('of the keyboard, which reach it from the terminal, are not sent twice', async () => {
    const command = await start(SCRIPT);
    await appears('ready');
    world.process('self', { group: 50, foreground: 50 });
    world.process(command.pid, { group: 50, foreground: 50 });
    process.emit('SIGINT', 'SIGINT');
    process.emit('SIGQUIT', 'SIGQUIT');
    process.emit('SIGUSR1', 'SIGUSR1');
    expect(await command.ended).toEqual({ code: 7 });
    expect(says('got')).toBe('USR1');
  });

  it.each([
    ['we are in the background', { group: 50, foreground: 60 }, { group: 50, foreground: 60 }],
    ['it left our process group', { group: 50, foreground: 50 }, { group: 51, foreground: -1 }],
    ['there is no terminal', { group: 50 }, { group: 50 }],
  ])('of the keyboard are sent when %s', async (_, self, child) => {
    const command = await start(SCRIPT);
    await appears('ready');
    world.process('self', self);
    world.process(command.pid, child);
    process.emit('SIGINT', 'SIGINT');
    expect(await command.ended).toEqual({ code: 7 });
    expect(says('got')).toBe('INT');
  });

  it('are left alone once it has ended', async () => {
    const before = process.listenerCount('SIGTERM');
    const command = await start('exit 0');
    expect(process.listenerCount('SIGTERM')).toBe(before + 1);
    await command.ended;
    expect(process.listenerCount('SIGTERM')).toBe(before);
  });
});
