import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, constants, openSync, readFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { addonMissing, end, fail, runCommandLine, systemContext, writeAll } from '../../src/cli.js';
import { CgoprofError } from '../../src/errors.js';
import { codedError, FakeWorld } from '../support/fake-world.js';

let world: FakeWorld;
beforeEach(() => {
  world = new FakeWorld();
  for (const name of ['CGOPROF_RATE', 'CGOPROF_PROFILE']) vi.stubEnv(name, undefined);
});
afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
  world.remove();
});

const COMMANDS = ['run', 'attach', 'detach', 'heap', 'serve', 'merge', 'ps', 'env'];
const cli = (...args: string[]) => runCommandLine(world.context(), args);

describe('help', () => {
  it('is printed on demand, to standard output', async () => {
    expect(await cli('--help')).toEqual({ code: 0 });
    expect(world.out).toMatch(/^Usage: cgoprof /);
    for (const command of COMMANDS) {
      expect(world.out).toMatch(new RegExp(`^  ${command} `, 'm'));
    }
    expect(world.err).toBe('');
  });

  it.each(COMMANDS)('of %s has an example', async (command) => {
    for (const args of [
      ['help', command],
      [command, '--help'],
    ]) {
      world.out = '';
      expect(await cli(...args)).toEqual({ code: 0 });
      expect(world.out).toMatch(new RegExp(`^Usage: cgoprof ${command} `));
      expect(world.out).toMatch(new RegExp(`\n\nExamples:\n  cgoprof ${command}\\b`));
    }
  });

  it('is what a person without a command gets, as wrong usage', async () => {
    expect(await cli()).toEqual({ code: 2 });
    expect(await cli('help', 'nosuch')).toEqual({ code: 2 });
    expect(world.out).toBe('');
    expect(world.err).toMatch(/^Usage: cgoprof /);
  });

  it('names defaults where they mean something', async () => {
    await cli('run', '--help');
    expect(world.out).toMatch(/\(default: 512KiB,\s+env: CGOPROF_RATE\)/);
    expect(world.out).toContain('(default: 10s)');
    expect(world.out).not.toContain('default: false');
  });
});

it('--version is the package’s', async () => {
  expect(await cli('--version')).toEqual({ code: 0 });
  const manifest = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as object;
  expect(`${world.out.trim()}`).toBe((manifest as { version: string }).version);
});

describe('wrong usage', () => {
  it.each([
    [['nosuch'], /^unknown command 'nosuch'/],
    [['psx'], /Did you mean ps\?/],
    [['--nosuch'], /^unknown option '--nosuch'/],
    [['ps', '--jsn'], /^unknown option '--jsn' \(Did you mean --json\?\)/],
    [['heap'], /^missing required argument 'target'/],
    [['heap', '1', '2'], /^too many arguments/],
    [['run'], /^missing required argument 'command'/],
    [['run', '--rate', '0', '--', 'x'], /^option '--rate <bytes>' argument '0' is invalid. must be at least 1/],
    [['run', '--rate'], /^option '--rate <bytes>' argument missing/],
    [['run', '--go-interval', '10', 'x'], /expected a duration such as 10s/],
    [['run', '--profile', '/bin/x', 'x'], /expected go, all, or the base name/],
    [['env', '--rate', 'much'], /expected a number of bytes/],
    [['attach'], /^missing required argument 'pid'/],
    [['attach', './x.seg'], /'\.\/x\.seg' is invalid for argument 'pid'\. expected the pid of a running process/],
    [['attach', '0'], /expected the pid/],
    [['attach', '1', '--rate', '0'], /must be at least 1/],
    [['detach', '1', '--rate', '1'], /^unknown option '--rate'/],
  ])('%j', async (args, message) => {
    await expect(cli(...args)).rejects.toMatchObject({
      message: expect.stringMatching(message),
      hint: "Run 'cgoprof help' for usage.",
      exitCode: 2,
    });
    expect([world.out, world.err]).toEqual(['', '']);
  });

  it('in the environment is said to be there', async () => {
    vi.stubEnv('CGOPROF_RATE', 'abc');
    await expect(cli('env')).rejects.toThrow("value 'abc' from env 'CGOPROF_RATE' is invalid");
  });
});

describe('commands get their flags', () => {
  it('env', async () => {
    await cli('env');
    expect(world.out).toBe(`LD_PRELOAD=${world.libraryPath}\nCGOPROF_RATE=524288\nCGOPROF_PROFILE=go\n`);
    world.out = '';
    vi.stubEnv('CGOPROF_RATE', '1MiB');
    await cli('env', '--profile', 'server', '--follow');
    expect(world.out).toMatch(/CGOPROF_RATE=1048576\nCGOPROF_PROFILE=server\nCGOPROF_FOLLOW=1\n$/);
  });

  it('attach, whose rate counts only if it was given', async () => {
    world.process(10, { maps: '' });
    await cli('attach', '10', '--json');
    await cli('attach', '10', '--rate', '1', '--trust-seccomp');
    vi.stubEnv('CGOPROF_RATE', '1MiB');
    await cli('attach', '10');
    expect(world.attachRequests).toMatchObject([
      { pid: 10, action: 'attach', rate: 0, trustSeccomp: false },
      { pid: 10, action: 'attach', rate: 1, trustSeccomp: true },
      { pid: 10, action: 'attach', rate: 1048576 },
    ]);
    expect(JSON.parse(world.out)).toMatchObject({ pid: 10, how: 'injected' });
  });

  it('detach', async () => {
    world.process(10, { maps: '' });
    await expect(cli('detach', '10', '--json', '--trust-seccomp')).rejects.toThrow('libcgoprof.so is not loaded in it');
  });

  it('ps', async () => {
    expect(await cli('ps', '--json')).toEqual({ code: 0 });
    expect(world.out).toBe('[]\n');
  });

  it('heap and merge', async () => {
    await expect(cli('heap', './none.seg', '-o', world.path('x'))).rejects.toThrow('./none.seg: no such file');
    await expect(cli('heap', '--gc', '4711')).rejects.toThrow('--gc: needs --go URL');
    await expect(cli('heap', '--json', '4711', '-o', '-')).rejects.toThrow('--json: takes standard output');
    await expect(cli('merge', 'a')).rejects.toThrow('merge: needs -o FILE');
  });

  it('run, and leaves those of the command alone', async () => {
    const context = world.context({ env: { PATH: '/nowhere' } });
    for (const args of [
      ['--', 'server', '--rate', 'x'],
      ['server', '-o', 'x', '--', 'y'],
    ]) {
      await expect(runCommandLine(context, ['run', '--rate', '1', ...args])).rejects.toThrow('run: server: no such');
    }
  });

  it('serve and run --serve, which listen on this machine alone unless they are told where', async () => {
    const listened: unknown[] = [];
    const note = (listen: unknown) => {
      listened.push(listen);
      return { code: 0 };
    };
    const serve: typeof import('../../src/commands/serve.js').serve = async (_, __, { listen }) => note(listen);
    const run: typeof import('../../src/commands/run.js').run = async (_, __, { serve }) => note(serve);
    vi.doMock('../../src/commands/serve.js', () => ({ serve }));
    vi.doMock('../../src/commands/run.js', () => ({ run }));
    onTestFinished(() => {
      vi.doUnmock('../../src/commands/serve.js');
      vi.doUnmock('../../src/commands/run.js');
    });
    await cli('serve', '10');
    await cli('run', '--serve', 'server');
    await cli('serve', '10', '--listen', '[::]:6062');
    await cli('run', 'server');
    const loopback = { host: '127.0.0.1', port: 6061 };
    expect(listened).toEqual([loopback, loopback, { host: '::', port: 6062 }, undefined]);
  });

  it('an error that is not of the command line goes on as it is', async () => {
    const error = new Error('boom');
    await expect(
      runCommandLine(
        world.context({
          loadNative: async () => {
            throw error;
          },
        }),
        ['ps'],
      ),
    ).rejects.toBe(error);
  });
});

describe('the end', () => {
  const calls: unknown[] = [];
  beforeEach(() => {
    calls.length = 0;
    vi.spyOn(process, 'exit').mockImplementation((code) => {
      calls.push(code);
      throw new Error('exited');
    });
    vi.spyOn(process, 'kill').mockImplementation((pid, signal) => {
      calls.push(pid === process.pid && signal);
      return true;
    });
  });

  it.each([
    [{ code: 0 }, [0]],
    [{ code: 77 }, [77]],
    [{ signal: 'SIGTERM' } as const, ['SIGTERM', 143]],
    [{ signal: 'SIGKILL' } as const, ['SIGKILL', 137]],
    [{ signal: 'SIGSEGV' } as const, [139]],
    [{ signal: 'SIGUSR1' } as const, [138]],
  ])('of %j is %j', (ending, expected) => {
    expect(() => end(ending)).toThrow('exited');
    expect(calls).toEqual(expected);
  });

  it('of an error is its report', () => {
    expect(() => fail(world.context(), new CgoprofError({ what: 'a', why: 'b', exitCode: 2 }))).toThrow('exited');
    expect([calls, world.err]).toEqual([[2], 'cgoprof: a: b\n']);
  });

  it('of a reader that went away is silent', () => {
    expect(() => fail(world.context(), codedError('EPIPE', 'broken pipe'))).toThrow('exited');
    expect([calls, world.err]).toEqual([[1], '']);
  });
});

describe('systemContext', () => {
  it('is the world as it is', () => {
    const context = systemContext();
    expect(context).toMatchObject({
      env: process.env,
      uid: process.getuid?.(),
      procRoot: '/proc',
      shmRoot: '/dev/shm',
      libraryPath: expect.stringMatching(/\/out\/native\/lib\/libcgoprof\.so$/),
    });
    expect(['amd64', 'arm64']).toContain(context.machine);
  });

  it('has an addon or says what is wrong with it', async () => {
    const missing = addonMissing(codedError('MODULE_NOT_FOUND', "Cannot find module 'cgoprof.node'"));
    expect(missing).toMatchObject({
      message: 'cgoprof.node: the addon is not built',
      hint: expect.stringContaining('npm run build'),
    });
    const broken = addonMissing(codedError('ERR_DLOPEN_FAILED', 'libdw.so.1: cannot open shared object file\nstack'));
    expect(broken.message).toBe('cgoprof.node: the addon cannot be loaded: libdw.so.1: cannot open shared object file');
  });
});

it('writeAll waits for a slow reader of a pipe that somebody made non-blocking', async () => {
  const pipe = world.path('pipe');
  execFileSync('mkfifo', [pipe]);
  const fd = openSync(pipe, constants.O_RDWR | constants.O_NONBLOCK);
  try {
    const reader = spawn('sh', ['-c', 'sleep 0.1; head -c 300007 <"$0" | wc -c >"$0.count"', pipe]);
    const done = once(reader, 'exit');
    writeAll(fd, 'x'.repeat(7));
    writeAll(fd, Buffer.alloc(300_000));
    await done;
  } finally {
    closeSync(fd);
  }
  expect(readFileSync(`${pipe}.count`, 'utf8').trim()).toBe('300007');
});
