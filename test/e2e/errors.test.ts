// Promise: whatever is wrong, a person reads in one line what and why, and in a second one what to do; and nothing is
// lost. Every message here comes from the built tool, run as a process.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { chmodSync, chownSync, copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type Finished, NOBODY, type StartOptions, Workshop } from '../support/cgoprof.js';
import { goProfile } from '../support/go-profile-fixture.js';
import { freePort, serve, type TestServer } from '../support/http-server.js';
import { until } from '../support/service.js';
import { HEADER, SegmentBytes } from '../unit/segment-bytes.js';

let shop: Workshop;
beforeAll(() => {
  shop = new Workshop();
});
afterAll(() => shop.remove());

const isRoot = process.getuid?.() === 0;

/** One line `cgoprof: ...` and one of advice, and nothing else anywhere. */
function expectError(
  { code, stdout, stderr }: Finished,
  message: string | RegExp,
  hint: string | RegExp,
  exit = 1,
): void {
  const lines = stderr.split('\n');
  expect(lines).toEqual([expect.stringMatching(/^cgoprof: /), expect.stringMatching(/^ {2}\S/), '']);
  const matching = (text: string | RegExp) =>
    typeof text === 'string' ? expect.stringContaining(text) : expect.stringMatching(text);
  expect(lines[0]).toEqual(matching(message));
  expect(lines[1]).toEqual(matching(hint));
  expect(stdout).toBe('');
  expect(code).toBe(exit);
}

async function expectFailure(
  args: readonly string[],
  message: string | RegExp,
  hint: string | RegExp,
  options: StartOptions = {},
) {
  expectError(await shop.run(args, options), message, hint);
}

describe('run', () => {
  it('a command that is not there', async () => {
    await expectFailure(['run', '--', 'no-such-command'], 'run: no-such-command: no such command in PATH', './no-such');
    await expectFailure(['run', '--', './server'], 'run: ./server: no such file', 'path of the program');
  });

  it('a file that is not executable, or no program', async () => {
    const file = shop.write('server.txt', 'hello\n');
    await expectFailure(['run', '--', file], `run: ${file}: permission denied`, `chmod +x ${file}`);
    chmodSync(file, 0o755);
    await expectFailure(['run', '--', file], 'neither an ELF executable nor a #! script', `run -- sh ${file}`);
  });

  it('a static binary', async () => {
    const program = shop.compile('static', 'int main(void) { return 0; }', ['-static']);
    await expectFailure(['run', '--', program], `run: ${program}: statically linked, so no library`, '-static');
  });

  it('a program for another machine', async () => {
    const program = shop.compile('foreign', 'int main(void) { return 0; }');
    const bytes = readFileSync(program);
    bytes.writeUInt16LE(bytes.readUInt16LE(18) === 62 ? 183 : 62, 18); // e_machine: x86-64 for AArch64 and vice versa.
    shop.write('foreign', bytes, 0o755);
    await expectFailure(['run', '--', program], /built for (arm64|amd64), but this cgoprof is for/, 'this machine');
  });

  it.skipIf(!isRoot)('a setuid binary (needs root to make one)', async () => {
    const program = shop.compile('setuid', 'int main(void) { return 0; }');
    chownSync(program, NOBODY, NOBODY);
    chmodSync(program, 0o4755);
    await expectFailure(['run', '--', program], `setuid to user ${NOBODY}, so the loader ignores LD_PRELOAD`, 'cp ');
  });

  it.skipIf(!isRoot)('a binary with file capabilities (needs root to make one)', async ({ skip }) => {
    const program = shop.compile('capable', 'int main(void) { return 0; }');
    try {
      execFileSync('setcap', ['cap_net_bind_service+ep', program], { stdio: 'ignore' });
    } catch {
      skip('setcap cannot be run here, or the file system keeps no capabilities');
    }
    const options = { uid: NOBODY, env: { CGOPROF_DIR: '/nowhere' } };
    await expectFailure(['run', '--', program], 'it has file capabilities, so the loader ignores', 'cp ', options);
    expect((await shop.run(['run', '--', program])).code).toBe(0);
  });

  it('sudo, behind which nothing can be seen', async () => {
    const sudo = shop.path('bin/sudo');
    mkdirSync(shop.path('bin'));
    copyFileSync('/bin/true', sudo);
    await expectFailure(['run', '--', sudo, './server'], 'it clears LD_PRELOAD', 'sudo cgoprof run -- COMMAND');
  });

  it('a command of which nothing was profiled, when a profile was asked for', async () => {
    const output = shop.path('nothing.pb.gz');
    const args = ['run', '-o', output, '--', 'sh', '-c'];
    await expectFailure([...args, ':'], 'run: sh: nothing was profiled: no Go program', '--profile NAME');
    expect((await shop.run([...args, 'exit 7'])).code).toBe(7);
    expect(existsSync(output)).toBe(false);
  });
});

describe('heap of a pid', () => {
  const children: ChildProcess[] = [];
  afterEach(() => {
    for (const child of children.splice(0)) child.kill('SIGKILL');
  });

  /** A process that has loaded what it is to load. */
  async function sleeper(loaded: string, env: Record<string, string> = {}): Promise<number> {
    const child = spawn('sleep', ['1000'], { env: { ...process.env, ...env }, stdio: 'ignore' });
    children.push(child);
    await until(() => readFileSync(`/proc/${child.pid}/maps`, 'utf8').includes(loaded));
    return child.pid as number;
  }

  it('that does not exist', async () => {
    await expectFailure(['heap', '4194305'], 'pid 4194305: no such process, and none', 'cgoprof ps');
  });

  it('that is not profiled', async () => {
    const pid = await sleeper('libc.so');
    await expectFailure(['heap', `${pid}`], `pid ${pid}: not profiled: libcgoprof.so is not loaded`, 'cgoprof run --');
  });

  it('in which the library is dormant', async () => {
    const pid = await sleeper('libcgoprof.so', { LD_PRELOAD: shop.library, CGOPROF_PROFILE: 'go' });
    await expectFailure(['heap', `${pid}`], `pid ${pid}: libcgoprof.so is loaded but dormant`, '--profile NAME');
  });

  it.skipIf(!isRoot)("that is somebody else's (needs root to become somebody else)", async () => {
    const pid = await sleeper('libc.so');
    const options = { uid: NOBODY, env: { CGOPROF_DIR: '/nowhere' } };
    await expectFailure(
      ['heap', `${pid}`],
      `pid ${pid}: not yours: the process belongs to another user`,
      'sudo',
      options,
    );
  });
});

describe('heap of a file', () => {
  const failing = async (name: string, content: string | Uint8Array, message: string | RegExp, hint: RegExp) => {
    const path = shop.write(name, content);
    await expectFailure(['heap', path, '-o', shop.path('never.pb.gz')], message, hint);
    expect(existsSync(shop.path('never.pb.gz'))).toBe(false);
  };
  const whole = new SegmentBytes().bytes;

  it('that is not there', async () => {
    await expectFailure(['heap', './none.seg'], './none.seg: no such file', 'cgoprof ps');
  });

  it.each([
    ['empty', '', /empty\.seg: (not a cgoprof|a damaged) segment/],
    ['garbage', 'garbage'.repeat(5_000), /garbage\.seg: not a cgoprof segment/],
    ['cut in the header', whole.subarray(0, 700), /: a damaged segment/],
    ['cut in a region', whole.subarray(0, 4_096 * 3 + 17), /: a damaged segment/],
    ['contradictory', new SegmentBytes().u64(HEADER.regions, 1 << 30).bytes, /: a damaged segment \(.+\)/],
    ['other version', new SegmentBytes().u16(HEADER.abiMajor, 99).bytes, /: a segment of another cgoprof version.*99/],
    ['starting', new SegmentBytes().u32(HEADER.state, 0).bytes, /: the process has not finished setting it up/],
  ])('that is %s', async (name, content, message) => {
    await failing(`${name}.seg`, content, message, /./);
  });

  it.skipIf(!isRoot)('that is not ours to read (needs root to become somebody else)', async () => {
    const path = shop.write('secret.seg', whole, 0o600);
    await expectFailure(['heap', path], `${path}: permission denied`, 'root', { uid: NOBODY });
  });
});

describe('the Go side', () => {
  let server: TestServer | undefined;
  afterEach(async () => {
    await server?.close();
    server = undefined;
  });

  const merged = (): string => shop.path('merged.pb.gz');
  const segment = (): string => shop.write('good.seg', new SegmentBytes().bytes);
  const failing = async (go: string, message: string | RegExp, hint: string | RegExp) => {
    await expectFailure(['heap', segment(), '--go', go, '-o', merged()], message, hint);
    expect(existsSync(merged())).toBe(false);
  };
  const profile = gzipSync(goProfile({ samples: [{ stack: ['main.f@m.go:1'], values: [1, 97, 1, 97] }] }).encode());

  it('refuses', async () => {
    const port = await freePort();
    await failing(`http://127.0.0.1:${port}`, `:${port}/debug/pprof/heap: connection refused`, 'net/http/pprof');
  });

  it('answers 404', async () => {
    server = await serve((_, response) => response.writeHead(404).end('404 page not found\n'));
    await failing(server.url, 'the server answered 404 Not Found', 'import _ "net/http/pprof"');
  });

  it('answers HTML', async () => {
    server = await serve((_, response) => response.end('<!doctype html><title>Welcome</title>'));
    await failing(server.url, '/debug/pprof/heap: an HTML page, not a profile', '/debug/pprof/heap of a service');
  });

  it('answers in text', async () => {
    server = await serve((_, response) => response.end('heap profile: 1: 8 [1: 8] @ heap/1048576\n'));
    await failing(`${server.url}/debug/pprof/heap?debug=1`, 'a profile in text form', 'debug=1');
  });

  it('answers half a profile', async () => {
    server = await serve((_, response) => {
      response.writeHead(200, { 'content-length': profile.length });
      response.write(profile.subarray(0, 40), () => response.destroy());
    });
    await failing(server.url, 'the answer ended early', 'Try again');
  });

  it('answers half a profile and says that it is all', async () => {
    server = await serve((_, response) => response.end(profile.subarray(0, 40)));
    await failing(server.url, 'truncated: the gzip data ends early', 'Give a heap profile');
  });

  it('is a profile of something else', async () => {
    const cpu = goProfile({
      samples: [{ stack: ['main.f@m.go:1'], values: [1, 10_000_000] }],
      sampleTypes: ['samples/count', 'cpu/nanoseconds'],
      periodType: 'cpu/nanoseconds',
    });
    const path = shop.write('cpu.pb.gz', gzipSync(cpu.encode()));
    await failing(path, /cpu\.pb\.gz: .*(cpu|samples)/, 'Give a heap profile');
    expect((await shop.run(['merge', path, '-o', merged()])).stderr).toMatch(/^cgoprof: .*cpu\.pb\.gz: /);
  });

  it('is an address without http://', async () => {
    await failing('localhost:6060', 'no such file or directory', '--go http://localhost:6060');
  });
});

describe('the output', () => {
  const heap = (output: string, options: StartOptions = {}) => {
    const segment = shop.write('good.seg', new SegmentBytes().bytes);
    return shop.run(['heap', segment, '--go', 'none', '-o', output], options);
  };

  it('in no directory', async () => {
    expectError(
      await heap(shop.path('nowhere/x.pb.gz')),
      'nowhere/x.pb.gz: cannot be written: no such file',
      '-o FILE',
    );
  });

  it('that is a directory', async () => {
    mkdirSync(shop.path('directory'));
    expectError(await heap(shop.path('directory')), 'directory: is a directory', '-o FILE');
  });

  it.skipIf(!isRoot)('in a directory of somebody else (needs root to become somebody else)', async () => {
    const result = await heap(shop.path('mine.pb.gz'), { uid: NOBODY });
    expectError(result, 'mine.pb.gz: cannot be written: permission denied', '-o FILE');
  });

  it('on a full device', async () => {
    expectError(await heap('/dev/full'), '/dev/full: no space left on device', '-o FILE');
  });

  it('that existed is whole, old or new, and nothing lies beside it', async () => {
    mkdirSync(shop.path('out'));
    const path = shop.write('out/old.pb.gz', 'the old one');
    const { code } = await shop.run(['heap', shop.write('bad.seg', 'x'), '-o', path]);
    expect([code, readFileSync(path, 'utf8')]).toEqual([1, 'the old one']);
    expect((await heap(path)).code).toBe(0);
    expect(readFileSync(path).subarray(0, 2)).toEqual(Buffer.from([0x1f, 0x8b]));
    expect(readdirSync(shop.path('out'))).toEqual([basename(path)]);
  });
});

describe('the command line', () => {
  it.each([
    [['nosuch'], "unknown command 'nosuch'"],
    [['heap', '--nosuch', '1'], "unknown option '--nosuch'"],
    [['run', '--rate', 'much', '--', 'true'], "option '--rate <bytes>' argument 'much' is invalid"],
    [['heap', '--gc', '1'], '--gc: needs --go URL'],
    [['run', '-o', '-', '--', 'true'], 'run: -o -: standard output'],
  ])('%j is wrong usage', async (args, message) => {
    expectError(await shop.run(args), message, /./, 2);
  });

  it('a defect of ours is shown as one, with its stack only on demand', async () => {
    const env = {
      NODE_OPTIONS: `--import=${shop.write('break.mjs', 'JSON.stringify = 5;')}`,
    };
    const { code, stderr: all } = await shop.run(['ps', '--json'], { env });
    // What others left on this machine may be worth a warning.
    const stderr = all.replace(/^cgoprof: warning: .*\n/gm, '');
    expect([code, stderr.split('\n').length]).toEqual([1, 3]);
    expect(stderr).toMatch(/^cgoprof: internal error: .*\n {2}This is a defect of cgoprof\. CGOPROF_DEBUG=1/);
    expect((await shop.run(['ps', '--json'], { env: { ...env, CGOPROF_DEBUG: '1' } })).stderr).toMatch(/\n {4}at /);
  });
});
