// Promise: `cgoprof serve` answers whom it should and nobody else, and goes on doing so whatever clients do.
import { execFile, execFileSync } from 'node:child_process';
import { readdirSync, readlinkSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it, onTestFinished } from 'vitest';
import { findGo } from '../../scripts/lib/go.mjs';
import { type RunningTool, Workshop } from '../support/cgoprof.js';
import { ServingTool } from '../support/served-tool.js';
import { until } from '../support/service.js';

const HEAP = '/debug/pprof/heap';
const TOKEN = 'a-token-of-23-letters-x';
const HELD = 11 * 1009;
/** Whose name makes long answers. */
const HOLD = `hold_${'x'.repeat(200)}`;

let shop: Workshop;
/** A segment of a process that has ended: what is served is the same each time. */
let segment: string;

beforeAll(async () => {
  shop = new Workshop();
  const source = `#include <stdlib.h>
void *kept[11];
__attribute__((noinline)) void ${HOLD}(void) { for (int i = 0; i < 11; i++) kept[i] = malloc(1009); }
int main(void) { ${HOLD}(); return 0; }
`;
  const ended = await shop.run(['run', '--rate', '1', '--', shop.compile('holder', source)], {
    env: { CGOPROF_KEEP: '1' },
  });
  expect(ended.code).toBe(0);
  [segment = ''] = shop.segmentNames().map((name) => `${shop.segments}/${name}`);
});
afterAll(() => shop.remove());

/** What `go tool pprof -top` prints, or its error. */
async function top(url: string): Promise<string> {
  const env = { ...process.env, PPROF_TMPDIR: shop.path('pprof') };
  const told = await promisify(execFile)(
    findGo(),
    ['tool', 'pprof', '-top', '-unit=B', '-sample_index=alloc_space', url],
    { env },
  ).catch((error: { stderr: string }) => ({ stdout: '', stderr: error.stderr }));
  return told.stdout + told.stderr;
}

const withCredentials = (url: string, token: string): string => url.replace('http://', `http://x:${token}@`);

it('go tool pprof shows the token as a password, and tells why it is refused without', async () => {
  const path = shop.write('token', `${TOKEN}\n`, 0o600);
  const serving = await ServingTool.start(shop, segment, '--token-file', path);
  const url = `${serving.url}${HEAP}`;
  expect(await top(withCredentials(url, TOKEN))).toContain(`${HELD}B`);
  for (const refused of [url, withCredentials(url, 'wrong')]) {
    expect(await top(refused)).toContain('cgoprof: a token is needed: as the password');
  }
  const bearer = await fetch(url, { headers: { authorization: `Bearer ${TOKEN}` } });
  expect(bearer.status).toBe(200);

  shop.write('token', 'another-token-of-some-length', 0o600);
  expect(await top(withCredentials(url, TOKEN))).toContain('a token is needed');
  expect(await top(withCredentials(url, 'another-token-of-some-length'))).toContain(`${HELD}B`);
  expect(serving.stderr).not.toContain('token-of');
});

it.each([
  [0o644, TOKEN, 'others have access to it (mode 644)'],
  [0o600, 'short', 'shorter than 16 characters'],
])('a token that is none (mode %o, "%s") is told at the start', async (mode, text, why) => {
  const path = shop.write('bad-token', text, mode);
  const { code, stderr } = await shop.run(['serve', segment, '--token-file', path, '--listen', '127.0.0.1:0']);
  expect(code).toBe(1);
  expect(stderr).toMatch(/^cgoprof: --token-file [^\n]*\n {2}\S[^\n]*\n$/m);
  expect(stderr).toContain(`--token-file ${path}: ${why}`);
});

it('a FIFO is no file of a token, and nobody waits for one to write into it', async () => {
  const path = shop.path('fifo');
  execFileSync('mkfifo', ['-m', '600', path]);
  const tool = shop.start(['serve', segment, '--token-file', path, '--listen', '127.0.0.1:0']);
  onTestFinished(() => tool.destroy());
  const { code, stderr } = await tool.finished;
  expect([code, stderr]).toEqual([1, expect.stringContaining(`--token-file ${path}: not a regular file`)]);
});

it('names are refused that another site may have led here, and allowed ones are not', async () => {
  const serving = await ServingTool.start(shop, segment, '--allow-host', 'profiler.test', '--allow-host', 'other.test');
  const port = Number(new URL(serving.url).port);
  const status = async (host: string): Promise<string> => {
    const answer = await raw(port, `HEAD ${HEAP} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
    return answer.split(' ', 2)[1] ?? '';
  };
  expect(await status('evil.test')).toBe('421');
  for (const host of ['profiler.test', 'other.test:1', 'localhost', `127.0.0.1:${port}`])
    expect(await status(host)).toBe('200');
  expect(serving.stderr).not.toContain('warning');
});

it('clients that send half, nothing, nonsense or too much, or read nothing, are not in the way of others', async () => {
  const serving = await ServingTool.start(shop, segment);
  const port = Number(new URL(serving.url).port);
  const rude = [
    '',
    'GET',
    `GET ${HEAP} HTTP/1.1\r\nHost:`,
    '\0\xff\n\n',
    `GET ${HEAP} HTTP/1.1\r\nHost: localhost\r\n\r\n`.repeat(500),
  ];
  for (let i = 0; i < 200; i++) {
    const socket = connect(port, '127.0.0.1').on('error', () => {});
    onTestFinished(() => void socket.destroy());
    socket.pause().write(rude[i % rude.length] ?? '', 'latin1');
    if (i % 7 === 0) socket.resetAndDestroy();
  }
  const answers = await Promise.all(Array.from({ length: 50 }, () => serving.get(HEAP)));
  expect(answers.map(({ status }) => status)).toEqual(Array(50).fill(200));
  expect(serving.stderr.match(/\n/g)).toHaveLength(3); // the process has ended; what is served; listening on
});

it('what clients do not go on with is ended, by bounds of up to about a minute', async () => {
  const serving = await ServingTool.start(shop, segment);
  const port = Number(new URL(serving.url).port);
  const idle = socketsOf(serving.tool);
  const unfinished = [
    '',
    `GET ${HEAP} HTTP/1.1\r\nHost:`,
    'POST /debug/pprof/symbol HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99\r\n\r\n0x1+',
    `HEAD ${HEAP} HTTP/1.1\r\nHost: localhost\r\n\r\n`,
  ];
  const ended = unfinished.map((bytes) => raw(port, bytes));
  const question = await longQuestion(serving);
  const deaf = connect(port, '127.0.0.1').on('error', () => {});
  onTestFinished(() => void deaf.destroy());
  deaf.write(
    `POST /debug/pprof/symbol HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${question.length}\r\n\r\n${question}`,
  );
  const answers = await Promise.all(ended);
  expect(answers.map((answer) => answer.split(' ', 2)[1])).toEqual(['408', '408', '408', '200']);
  // Whoever takes nothing does not see the end of the connection either.
  await until(() => socketsOf(serving.tool) === idle);
  const taken = await textOf(deaf);
  expect(taken).toContain(` ${HOLD}\n`);
  expect(taken.length).toBeLessThan(Number(/^Content-Length: (\d+)\r$/m.exec(taken)?.[1]));
  expect((await serving.get(HEAP)).status).toBe(200);
});

it('a rejection that nobody waits for is told, and it serves on', async () => {
  const stray = 'process.once("SIGUSR2", () => void Promise.reject(new Error("stray")))';
  const NODE_OPTIONS = `--import=data:text/javascript,${encodeURIComponent(stray)}`;
  const serving = new ServingTool(shop.start(['serve', segment, '--listen', '127.0.0.1:0'], { env: { NODE_OPTIONS } }));
  onTestFinished(async () => {
    serving.tool.destroy();
    await serving.tool.finished;
  });
  await serving.listening();
  serving.tool.process.kill('SIGUSR2');
  await serving.said(/^cgoprof: internal error: stray$/m);
  expect((await serving.get(HEAP)).status).toBe(200);
  expect((await serving.end('SIGTERM')).code).toBe(0);
});

/** Addresses whose names are more than a connection holds that nobody reads. */
async function longQuestion(serving: ServingTool): Promise<string> {
  const { text } = await serving.get(`${HEAP}?debug=1`);
  const [, address = ''] = /@ (0x[0-9a-f]+) .*\n#\t\S+\thold_/.exec(text) ?? [];
  return Array(100_000).fill(address).join('+');
}

/** How many a tool has open. */
function socketsOf({ process: { pid } }: RunningTool): number {
  const isSocket = (fd: string): boolean => {
    try {
      return readlinkSync(`/proc/${pid}/fd/${fd}`).startsWith('socket:');
    } catch {
      return false; // Closed since it was listed.
    }
  };
  return readdirSync(`/proc/${pid}/fd`).filter(isSocket).length;
}

/** @returns all that comes until the connection ends */
function raw(port: number, bytes: string): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  socket.write(bytes, 'latin1');
  return textOf(socket);
}

function textOf(socket: Socket): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    socket
      .setEncoding('latin1')
      .on('data', (more: string) => {
        text += more;
      })
      .on('error', () => {})
      .on('close', () => resolve(text));
  });
}
