import { chmodSync, mkdirSync, symlinkSync } from 'node:fs';
import { basename } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Command, chooseProfile, resolveCommand } from '../../../src/collect/executable.js';
import type { Context } from '../../../src/context.js';
import type { ExecutableInfo } from '../../../src/native-binding.js';
import { codedError, FakeWorld, GO_PROGRAM } from '../../support/fake-world.js';

let world: FakeWorld;
beforeEach(() => {
  world = new FakeWorld();
});
afterEach(() => world.remove());

function program(name: string, info: Partial<ExecutableInfo> | Error = {}, mode = 0o755): Command {
  const path = world.write(name, '');
  chmodSync(path, mode);
  world.executables.set(path, info instanceof Error ? info : { ...GO_PROGRAM, ...info });
  return { path, name: basename(name), args: [] };
}

const choose = (command: Command, options: { wish?: string; follow?: boolean } = {}, context: Partial<Context> = {}) =>
  chooseProfile(world.context(context), world.native, command, {
    wish: options.wish,
    follow: options.follow ?? false,
  });

const c = { isGo: false };

describe('resolveCommand', () => {
  const resolve = (name: string, PATH?: string) => resolveCommand(world.context({ env: { PATH } }), name, ['-x']);

  it('finds the first executable file of that name in PATH', () => {
    program('a/tool', {}, 0o644);
    mkdirSync(world.path('b/tool'), { recursive: true });
    const found = program('c/tool');
    const PATH = ['a', 'b', 'nowhere', 'c'].map((dir) => world.path(dir)).join(':');
    expect(resolve('tool', PATH)).toEqual({ path: found.path, name: 'tool', args: ['-x'] });
  });

  it('searches the usual directories without a PATH', () => {
    expect(resolve('sh').path).toMatch(/^\/(usr\/)?bin\/sh$/);
  });

  it('searches the working directory for an empty entry', () => {
    // Found there, and said to be what it is: our tests run in the project's own directory.
    expect(() => resolve('package.json', ':/nowhere')).toThrow('run: package.json: permission denied');
  });

  it('takes a path as it is', () => {
    const { path } = program('dir/tool');
    expect(resolve(path, '')).toMatchObject({ path, name: path });
  });

  it.each([
    ['no-such-tool', 'run: no-such-tool: no such command in PATH', /\.\/no-such-tool/],
    ['./no-such-tool', 'run: ./no-such-tool: no such file', /path of the program/],
    ['/etc/passwd/x', 'run: /etc/passwd/x: no such file', /path of the program/],
    ['/tmp', 'run: /tmp: is a directory', /program/],
  ])('refuses %s', (name, message, hint) => {
    const refused = expect.objectContaining({ message, hint: expect.stringMatching(hint), exitCode: 1 });
    expect(() => resolve(name, '/usr/bin')).toThrow(refused);
  });

  it('tells what is not executable, and how to make it so', () => {
    const { path } = program('tool', {}, 0o644);
    const message = `run: ${path}: permission denied`;
    const refused = expect.objectContaining({ message, hint: `Make it executable: chmod +x ${path}` });
    expect(() => resolve(path)).toThrow(refused);
    expect(() => resolve('tool', world.root)).toThrow(refused);
  });
});

describe('chooseProfile', () => {
  it('is go for Go programs and scripts', () => {
    expect(choose(program('server'))).toBe('go');
    expect(choose(program('entrypoint.sh', { format: 'script', machine: '', dynamic: false, isGo: false }))).toBe('go');
  });

  it.each([
    'sh',
    'bash',
    'env',
    'nice',
    'timeout',
    'tini',
    'dumb-init',
    'gosu',
    'setpriv',
    'nohup',
    'xargs',
    'stdbuf',
    'chrt',
    'ionice',
    'taskset',
    'numactl',
    'time',
  ])('is go for %s, which starts something else', (name) => {
    expect(choose(program(name, c))).toBe('go');
  });

  it('knows a wrapper by the name behind its link, or of the link', () => {
    const { path } = program('dash', c);
    symlinkSync(path, world.path('shell'));
    world.executables.set(world.path('shell'), { ...GO_PROGRAM, ...c });
    expect(choose({ path: world.path('shell'), name: 'shell', args: [] })).toBe('go');
  });

  it('is the name of any other program, as the kernel knows it', () => {
    const { path } = program('python3.11', c);
    symlinkSync(path, world.path('python3'));
    world.executables.set(world.path('python3'), { ...GO_PROGRAM, ...c });
    const link = { path: world.path('python3'), name: 'python3', args: [] };
    expect(choose(link)).toBe('python3.11');
    expect(choose(link, { follow: true })).toBe('all');
  });

  it('is what the person wishes', () => {
    expect(choose(program('python3', c), { wish: 'worker' })).toBe('worker');
    expect(choose(program('server'), { wish: 'all', follow: true })).toBe('all');
  });
});

describe('chooseProfile refuses', () => {
  const refusal = (message: string | RegExp, hint: string | RegExp) =>
    expect.objectContaining({
      message: expect.stringMatching(message),
      hint: expect.stringMatching(hint),
      exitCode: 1,
    });

  it('static programs, whatever is wished', () => {
    const statically = /^run: server: statically linked, so no library can be preloaded into it$/;
    expect(() => choose(program('server', { dynamic: false }), { wish: 'all' })).toThrow(
      refusal(statically, /without cgo has no C memory/),
    );
    expect(() => choose(program('server', { dynamic: false, isGo: false }))).toThrow(
      refusal(statically, /without -st/),
    );
  });

  it('programs with a malloc of their own', () => {
    const own = /^run: server: defines malloc itself, so no library can see what it allocates$/;
    expect(() => choose(program('server', { hasOwnMalloc: true }), { wish: 'all' })).toThrow(
      refusal(own, /-ltcmalloc/),
    );
  });

  it('programs for another machine', () => {
    const message = /^run: server: built for arm64, but this cgoprof is for amd64$/;
    expect(() => choose(program('server', { machine: 'arm64' }))).toThrow(refusal(message, /Build it/));
  });

  it('what is no program', () => {
    expect(() => choose(program('notes', { format: 'other' }))).toThrow(
      refusal(/^run: notes: neither an ELF executable nor a #! script$/, /cgoprof run -- sh notes/),
    );
  });

  it('what cannot be read', () => {
    expect(() => choose(program('secret', codedError('EACCES', 'x')))).toThrow(
      refusal(/cannot be read: perm/, /reads/),
    );
    expect(() => choose(program('odd', codedError('EIO', 'I/O error')))).toThrow(
      refusal(/^run: odd: I\/O error$/, /./),
    );
  });

  it.each([
    ['sudo', /it clears LD_PRELOAD/, /^Put it in front: sudo cgoprof run -- COMMAND$/],
    ['docker', /asks a daemon/, /where the service starts/],
    ['ssh', /another machine/, /cgoprof env/],
  ])('%s, behind which nothing can be seen', (name, message, hint) => {
    expect(() => choose(program(name, c))).toThrow(refusal(message, hint));
  });

  it('setuid and setgid programs of others', () => {
    const uid = process.getuid?.() ?? 0;
    const gid = process.getgid?.() ?? 0;
    const setuid = program('setuid', {}, 0o4755);
    expect(() => choose(setuid, {}, { uid: uid + 1 })).toThrow(
      refusal(`^run: setuid: setuid to user ${uid}, so the loader ignores LD_PRELOAD$`, /a copy without it/),
    );
    const setgid = program('setgid', {}, 0o2755);
    expect(() => choose(setgid, {}, { gid: gid + 1 })).toThrow(
      refusal(`setgid to group ${gid}, so the loader`, /copy/),
    );
  });

  it('but not those that change nothing', () => {
    expect(choose(program('own', {}, 0o4755))).toBe('go');
    expect(choose(program('locking', {}, 0o2745), {}, { gid: (process.getgid?.() ?? 0) + 1 })).toBe('go');
  });

  it('programs with capabilities, unless root starts them', () => {
    const capable = program('ping', { hasCapabilities: true });
    expect(() => choose(capable, {}, { uid: 1000 })).toThrow(
      refusal(/^run: ping: it has file capabilities, so/, /copy/),
    );
    expect(choose(capable, {}, { uid: 0 })).toBe('go');
  });
});
