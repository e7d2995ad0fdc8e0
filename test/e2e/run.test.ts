// Promise: a command under `cgoprof run` behaves as it does without: its signals, its output, its end; and with -o its
// profile is written however it ends.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { gunzipSync } from 'node:zlib';
import { Profile } from 'pprof-format';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { inUseBytes } from '../../src/present/output.js';
import { type RunningTool, type StartOptions, Workshop } from '../support/cgoprof.js';
import { until } from '../support/service.js';

/**
 * Holds 11 blocks of 1009 bytes, says so by making a file, and ends as its argument says. Each SIGINT or SIGUSR1 that
 * comes is written down.
 */
const SERVICE = `
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void note(int signal) {
  int log = open("signals", O_CREAT | O_WRONLY | O_APPEND, 0644);
  write(log, signal == SIGINT ? "INT " : "USR1 ", signal == SIGINT ? 4 : 5);
  close(log);
}

void *kept[11];

int main(int count, char **arguments) {
  const char *end = count > 1 ? arguments[1] : "wait";
  signal(SIGINT, note);
  signal(SIGUSR1, note);
  for (int i = 0; i < 11; i++) kept[i] = malloc(1009);
  close(open("ready", O_CREAT | O_WRONLY, 0644));
  if (strcmp(end, "exit") == 0) return 0;
  if (strcmp(end, "fail") == 0) return 3;
  if (strcmp(end, "_exit") == 0) _exit(0);
  if (strcmp(end, "kill") == 0) raise(SIGKILL);
  if (strcmp(end, "abort") == 0) abort();
  for (;;) pause();
}
`;
const HELD = 11 * 1009;

let shop: Workshop;
let service: string;
const started: RunningTool[] = [];
beforeAll(() => {
  shop = new Workshop();
  service = shop.compile('service', SERVICE);
});
afterAll(() => shop.remove());
beforeEach(() => {
  for (const name of ['ready', 'signals', 'merged.pb.gz']) rmSync(shop.path(name), { force: true });
  shop.removeSegments();
});
afterEach(() => {
  for (const tool of started.splice(0)) tool.destroy();
});

/** Starts the service under the tool and waits until it holds its blocks. */
async function serving(args: readonly string[] = [], command: readonly string[] = [service]): Promise<RunningTool> {
  const tool = shop.start(['run', '--rate', '1', ...args, '--', ...command]);
  started.push(tool);
  await until(() => existsSync(shop.path('ready')));
  return tool;
}

const run = (args: readonly string[], options: StartOptions = {}) => shop.run(['run', '--rate', '1', ...args], options);
const output = (): string => shop.path('merged.pb.gz');
const held = async (): Promise<number> => inUseBytes(Profile.decode(gunzipSync(await readFile(output())))).c;

/** The one process that runs the service now. */
function servicePid(): number {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  const found = pids.filter((pid) => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'latin1').startsWith(`${service}\0`);
    } catch {
      return false;
    }
  });
  expect(found).toHaveLength(1);
  return Number(found[0]);
}

describe('run -o writes what the command held at its end', () => {
  it.each([
    ['exit', { code: 0, signal: null }],
    ['fail', { code: 3, signal: null }],
    ['_exit', { code: 0, signal: null }],
    ['kill', { code: null, signal: 'SIGKILL' }],
    ['abort', { code: 134, signal: null }],
  ])('by %s', async (end, status) => {
    expect(await run(['-o', output(), '--', service, end])).toMatchObject(status);
    expect(await held()).toBe(HELD);
  });

  it('by a signal to us', async () => {
    const tool = await serving(['-o', output()]);
    tool.process.kill('SIGTERM');
    expect(await tool.finished).toMatchObject({ code: null, signal: 'SIGTERM' });
    expect(await held()).toBe(HELD);
    expect(shop.segmentNames()).toEqual([]);
  });

  it('through shells and wrappers, and adds its processes up', async () => {
    const script = `env ${service} exit & nice ${service} exit & wait`;
    const { code } = await run(['-o', output(), '--profile', 'service', '--', 'sh', '-c', script]);
    expect(code).toBe(0);
    expect(await held()).toBe(2 * HELD);
  });
});

describe('segments', () => {
  it('are removed after a normal end, with or without a profile', async () => {
    for (const args of [[], ['-o', output()]]) {
      await run([...args, '--', service, '_exit']);
      expect(shop.segmentNames()).toEqual([]);
    }
  });

  it('are kept after any other, and can be looked at', async () => {
    const { stderr } = await run(['--', service, 'kill']);
    const [, path = ''] = /the segment of pid \d+ is kept: cgoprof heap (\S+) -o FILE\n$/.exec(stderr) ?? [];
    expect(shop.segmentNames()).toEqual([path.split('/').at(-1)]);
    expect((await shop.run(['heap', path, '-o', output()])).code).toBe(0);
    expect(await held()).toBe(HELD);
    const rows = await shop.ps();
    expect(rows.find(({ segment }) => segment === path)).toMatchObject({
      state: 'died',
      live: 11,
      rate: 1,
      command: service,
    });
  });
});

describe('a living service', () => {
  it('is listed, and its profile can be had by its pid', async () => {
    const tool = await serving();
    const pid = servicePid();
    const rows = await shop.ps();
    expect(rows.find((row) => row.pid === pid)).toMatchObject({ state: 'running', live: 11 });
    const { code, stderr } = await shop.run(['heap', `${pid}`, '-o', output()]);
    expect([code, stderr]).toEqual([0, expect.stringContaining(`wrote ${output()}: `)]);
    expect(await held()).toBe(HELD);
    expect((await shop.run(['heap', `${pid}`, '-o', '-'])).stdout.slice(0, 2)).toBe('\x1f\x8b');
    tool.process.kill('SIGTERM');
    await tool.finished;
  });

  it('goes on when cgoprof is killed, and can still be looked at', async () => {
    const tool = await serving();
    const pid = servicePid();
    tool.process.kill('SIGKILL');
    await once(tool.process, 'exit');
    expect((await shop.run(['heap', `${pid}`, '-o', output()])).code).toBe(0);
    expect(await held()).toBe(HELD);
  });
});

describe('the command does not notice', () => {
  it('at its signals', async () => {
    const tool = await serving();
    tool.process.kill('SIGINT');
    await until(() => existsSync(shop.path('signals')));
    tool.process.kill('SIGUSR1');
    await until(() => readFileSync(shop.path('signals'), 'utf8').includes('USR1'));
    expect(readFileSync(shop.path('signals'), 'utf8')).toBe('INT USR1 ');
    tool.process.kill('SIGHUP');
    expect(await tool.finished).toMatchObject({ signal: 'SIGHUP' });
  });

  it('at the keyboard: a Ctrl-C comes once', async () => {
    const line = [...shop.tool, 'run', '--', service].join(' ');
    const env = { ...process.env, CGOPROF_DIR: shop.segments };
    const terminal = spawn('script', ['-qec', line, '/dev/null'], {
      cwd: shop.root,
      env,
      stdio: ['pipe', 'ignore', 'ignore'],
    });
    await until(() => existsSync(shop.path('ready')));
    terminal.stdin.write('\x03');
    await until(() => existsSync(shop.path('signals')));
    process.kill(servicePid(), 'SIGUSR1');
    await until(() => readFileSync(shop.path('signals'), 'utf8').includes('USR1'));
    expect(readFileSync(shop.path('signals'), 'utf8')).toBe('INT USR1 ');
    process.kill(servicePid(), 'SIGTERM');
    await once(terminal, 'exit');
  });

  it('at its output: the pipes stay blocking', async () => {
    const { stdout } = await run([
      '--',
      'sh',
      '-c',
      'cat /proc/self/fdinfo/1; cat /proc/self/fdinfo/2 >&2; cat /proc/self/fdinfo/2',
    ]);
    const flags = [...stdout.matchAll(/^flags:\s+(\d+)$/gm)].map(([, octal = '']) => Number.parseInt(octal, 8));
    const O_NONBLOCK = 0o4000;
    expect(flags.map((value) => value & O_NONBLOCK)).toEqual([0, 0]);
  });

  it('at its environment: of ours nothing is left, of the user’s everything', async () => {
    const show = shop.compile(
      'show',
      'extern char **environ; int puts(const char *);' +
        'int main(void) { for (char **e = environ; *e; e++) puts(*e); return 0; }',
    );
    const libc = /(\/\S+\/libc\.so\.6)$/m.exec(readFileSync('/proc/self/maps', 'utf8'))?.[1] ?? '';
    const { stdout } = await run(['--', show], { env: { LD_PRELOAD: libc, WORD: 'x' } });
    const lines = stdout.trim().split('\n');
    expect(lines).toEqual(expect.arrayContaining([`LD_PRELOAD=${libc}`, 'WORD=x']));
    expect(lines.filter((line) => line.includes('CGOPROF_'))).toEqual([]);
  });

  it('at its name', async () => {
    const { stdout } = await run(['--', 'sh', '-c', 'echo "$0"']);
    expect(stdout).toBe('sh\n');
  });
});

it.skipIf(process.getuid?.() !== 0)('a service in a container is seen from outside (needs root)', async ({ skip }) => {
  const unshare = ['unshare', '--mount', '--pid', '--fork', '--kill-child', '--mount-proc'];
  if (spawnSync('unshare', [...unshare.slice(1), 'true']).status !== 0) skip('namespaces cannot be made here');
  const { stdout: env } = await shop.run(['env', '--rate', '1', '--profile', 'service']);
  const script = 'mount -t tmpfs none /dev/shm && exec env "$@"';
  const [command = '', ...args] = [...unshare, 'sh', '-c', script, 'sh', ...env.trim().split('\n'), service];
  const container = spawn(command, args, { cwd: shop.root, stdio: 'ignore' });
  try {
    await until(() => existsSync(shop.path('ready')));
    const pid = servicePid();
    const rows = await shop.ps();
    expect(rows.find((row) => row.pid === pid)).toMatchObject({ state: 'running', live: 11 });
    expect((await shop.run(['heap', `${pid}`, '-o', output()])).code).toBe(0);
    expect(await held()).toBe(HELD);
  } finally {
    container.kill('SIGKILL');
    await once(container, 'exit');
  }
});

it('env starts a service anywhere', async () => {
  const { stdout } = await shop.run(['env', '--rate', '1', '--profile', 'service']);
  const env = Object.fromEntries(
    stdout
      .trim()
      .split('\n')
      .map((line) => line.split('=') as [string, string]),
  );
  const child = spawn(service, ['_exit'], { cwd: shop.root, env: { ...env, CGOPROF_DIR: shop.segments } });
  await once(child, 'exit');
  expect((await shop.run(['heap', `${child.pid}`, '-o', output()])).code).toBe(0);
  expect(await held()).toBe(HELD);
});
