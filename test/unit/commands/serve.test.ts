import { symlinkSync } from 'node:fs';
import { relative } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { runCommandLine } from '../../../src/cli.js';
import { servicesOf } from '../../../src/commands/serve.js';
import { FakeWorld } from '../../support/fake-world.js';
import { heldSegments } from '../../support/held-segments.js';

let world: FakeWorld;
beforeEach(() => {
  world = new FakeWorld();
});
afterEach(() => world.remove());

const cli = (...args: string[]) => runCommandLine(world.context({ env: { PATH: '/nowhere' } }), args);

describe('whose service --go is', () => {
  it.each([
    [['http://h'], ['api'], { api: 'http://h' }],
    [['api=http://h'], ['api'], { api: 'http://h' }],
    [[], ['api', 'web'], {}],
    [['web=http://h', 'api=none'], ['api', 'web'], { api: 'none', web: 'http://h' }],
  ])('%j of %j', (go, names, expected) => {
    expect(Object.fromEntries(servicesOf(go, names))).toEqual(expected);
  });

  it.each([
    [['http://h'], ['api', 'web'], /^--go http:\/\/h: of which of api, web\?$/],
    [['db=http://h'], ['api', 'web'], /^--go db=http:\/\/h: no target db, only api, web$/],
    [['http://h', 'api=http://i'], ['api'], /^--go api=http:\/\/i: api has one already$/],
  ])('%j of %j is wrong usage', (go, names, message) => {
    expect(() => servicesOf(go, names)).toThrow(
      expect.objectContaining({ message: expect.stringMatching(message), exitCode: 2 }),
    );
  });
});

it.each([
  ['b.pb.gz', 'that file is neither a segment nor a program', 'go tool pprof'],
  ['./b.pb.gz', 'that file is neither a segment nor a program', 'go tool pprof'],
  ['folder/', 'that is a directory', 'TARGET is a pid, a segment file, or a program'],
])('%s is no target', async (name, why, hint) => {
  world.write('b.pb.gz', 'profile');
  world.write('folder/file', '');
  const argument = relative('', world.path(name)).concat(name.endsWith('/') ? '/' : '');
  await expect(cli('serve', argument)).rejects.toMatchObject({
    message: `serve ${argument}: ${why}`,
    hint: expect.stringContaining(hint),
    exitCode: 2,
  });
});

describe('refused at once', () => {
  it.each([
    [['10'], 'pid 10: no such process, and none of that pid left a segment behind', 1],
    [['api', '10'], 'pid 10: no such process', 1],
    [['web=10'], 'pid 10: no such process', 1],
    [['./no.seg'], './no.seg: no such file', 1],
    [['..'], 'serve ..: that is a directory', 2],
    [['api', 'api'], 'serve api: the target is given twice', 2],
    [['a=10', 'b=10'], 'serve 10: the target is given twice', 2],
    [['a=api', 'a=web'], 'serve a=web: the name is taken', 2],
    [['a='], 'serve a=: no target', 2],
    [['api', '--', '--go', 'http://h'], 'serve --go: not a target', 2],
    [['api', '--go', 'heap.pb.gz'], '--go heap.pb.gz: not a URL: a service is asked again and again', 2],
    [['api', 'web', '--go', 'http://h'], '--go http://h: of which of api, web?', 2],
    [['api', '*/api', '--go', 'api-3=http://h'], '--go api-3=http://h: no target api-3, only api, api-2', 2],
    [['api', 'api=web', '--go', 'x=http://h'], '--go x=http://h: no target x, only api-2, api', 2],
  ])('serve %j', async (args, message, exitCode) => {
    await expect(cli('serve', ...args)).rejects.toMatchObject({ message: expect.stringContaining(message), exitCode });
  });

  it.each([
    [['--go', 'http://h', 'x'], 'run: --go: needs -o FILE, the profile that it goes into, or --serve'],
    [['--serve', '--go', 'heap.pb.gz', 'x'], 'run: --go heap.pb.gz: not a URL: with --serve'],
    [['--serve', '--go', 'h:6060', 'x'], 'run: --go h:6060: not a URL: with --serve'],
    [['--token-file', 'f', 'x'], 'run: --token-file: is about --serve'],
    [['--allow-host', 'h', 'x'], 'run: --allow-host: is about --serve'],
    [['--serve=localhost', 'x'], "argument 'localhost' is invalid. expected HOST:PORT"],
  ])('run %j', async (args, message) => {
    await expect(cli('run', ...args)).rejects.toMatchObject({ message: expect.stringContaining(message), exitCode: 2 });
  });

  // Without an address, what follows is the command, to its end.
  it.each([
    ['--serve', 'server', '--rate', 'x'],
    ['--serve', '--', 'server', '--serve'],
    ['--serve', '--rate', '1', 'server', '-o', 'x'],
    ['--rate', '1', '--serve', 'server', '--serve', 'nonsense'],
    ['--serve', '127.0.0.1:0', 'server', '--rate', 'x'],
    ['--serve', '0', '--', 'server'],
    ['-o', './--serve', 'server', '--rate', 'x'],
    ['--follow', '--serve=0', 'server', '--rate', 'x'],
  ])('run %j: the command is server', async (...args) => {
    await expect(cli('run', ...args)).rejects.toThrow('run: server: no such command in PATH');
  });
});

it.each(['SIGINT', 'SIGTERM'] as const)(
  'told to end by %s it holds no segment any more, and listens nowhere',
  async (signal) => {
    const path = world.segment('10-1.seg');
    symlinkSync('/proc/self', world.path('proc/self'));
    world.readUnknown = () => world.segments.get(path) as never;
    const told = new Promise((resolve) => process.once(signal, resolve));
    const ending = cli('serve', path, '--listen', '127.0.0.1:0');
    await vi.waitUntil(() => world.err.includes('listening on'));
    expect(heldSegments(world.root)).toEqual([path]);
    process.kill(process.pid, signal);
    await told;
    expect(await ending).toEqual({ code: 0 });
    expect(heldSegments(world.root)).toEqual([]);
    const [, url = ''] = /listening on (\S+);/.exec(world.err) ?? [];
    await expect(fetch(url)).rejects.toThrow('fetch failed');
  },
);
