// Promise: `cgoprof serve` answers for a target whatever becomes of its process: by name from one process to the next, by
// pid from that process alone; of one that has ended it serves what it left, and says so.
import { copyFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { compilePlugin } from '../support/attach-control.js';
import { Workshop } from '../support/cgoprof.js';
import { check, rawSamples, top } from '../support/go-pprof.js';
import { heldSegments } from '../support/held-segments.js';
import { buildTargetAside } from '../support/profiled-target.js';
import { ServingTool } from '../support/served-tool.js';
import { Service, until } from '../support/service.js';
import { allInUse, samplesAt, siteOf, total } from '../support/sites.js';

const HELD = siteOf('service', 'held');
const GO = siteOf('service', 'go');

/** Of a name that no other process of the machine has. */
const NAME = `api-${process.pid}`;

let shop: Workshop;
let program: string;
beforeAll(async () => {
  const service = await buildTargetAside('service');
  shop = new Workshop();
  program = shop.path(NAME);
  copyFileSync(service, program);
});
afterAll(() => shop.remove());
beforeEach(() => shop.removeSegments());

/** Starts the service as a unit file or a container would. */
async function start(...flags: string[]): Promise<Service> {
  const { stdout } = await shop.run(['env', '--rate', '1', ...flags]);
  return Service.start(shop, ['env', ...stdout.trim().split('\n'), program]);
}

async function kill(service: Service): Promise<void> {
  process.kill(service.pid, 'SIGKILL');
  await service.finished;
}

const HEAP = '/debug/pprof/heap';
const file = (): string => shop.path('served.pb.gz');

/** What the profile that is served says of a site. */
async function served(serving: ServingTool, site: typeof HELD, path = HEAP): Promise<number[]> {
  return total(samplesAt(rawSamples(await serving.fetchTo(path, file())), site));
}

/** Comments of the profile fetched last that are about targets and services. */
const comments = (): string[] =>
  check(file()).Comments.filter((text) => /has ended|Go heap profile|another/.test(text));

const ended = (pid: number, how: string) =>
  new RegExp(`^cgoprof: pid ${pid} has ended \\(${how}\\) at 20\\S+Z; this is`);
const KILLED = 'killed, or by an exit of Go’s own';

describe('by name', () => {
  it('waits for a process, follows it through kill -9 into the next, and holds one segment', async () => {
    const serving = await ServingTool.start(shop, NAME);
    expect(serving.stderr).toContain(`${NAME}: waiting for a process: ${NAME}: no such process runs\n`);
    const answer = await serving.get(HEAP);
    expect(answer).toEqual({
      status: 503,
      text: expect.stringMatching(`^cgoprof: ${NAME}: no such process runs\n  It is served as soon as one does`),
    });

    const first = await start();
    await serving.said(new RegExp(`^cgoprof: ${NAME}: pid ${first.pid} is served now$`, 'm'));
    await first.obey('grow');
    expect(await served(serving, HELD)).toEqual(allInUse(HELD, 2));
    expect(comments()).toEqual([]);

    await kill(first);
    shop.removeSegments(); // as `run` and pruning may
    expect(await served(serving, HELD)).toEqual(allInUse(HELD, 2));
    expect(comments()).toEqual([expect.stringMatching(ended(first.pid, KILLED))]);
    expect(serving.stderr).toMatch(new RegExp(`^cgoprof: ${NAME}: pid ${first.pid} has ended`, 'm'));

    const second = await start();
    await serving.said(new RegExp(`^cgoprof: ${NAME}: pid ${second.pid} is served now$`, 'm'));
    for (const path of [HEAP, `/p/${NAME}${HEAP}`]) {
      expect(await served(serving, HELD, path)).toEqual(allInUse(HELD));
      expect(comments()).toEqual([]);
    }
    const held = heldSegments(shop.segments, serving.tool.process.pid);
    expect(held).toEqual([expect.stringContaining(`/${second.pid}-`)]);
  });

  it('says why a process that runs is not served, and of several that match takes the newest', async () => {
    const serving = await ServingTool.start(shop, `own=${NAME.slice(0, -1)}?`);
    const idle = await Service.start(shop, [program]);
    await until(() => serving.stderr.includes('waiting'));
    // Looked for once a second.
    let answer = await serving.get(HEAP);
    while (!answer.text.includes(`pid ${idle.pid}`)) answer = await serving.get(HEAP);
    expect(answer.status).toBe(503);
    expect(answer.text).toMatch(
      `no process of it is profiled: pid ${idle.pid}: not profiled: libcgoprof.so is not loaded`,
    );

    await start();
    const newest = await start();
    const late = await ServingTool.start(shop, NAME);
    expect(late.stderr).toMatch(`2 profiled processes match; taking the newest, pid ${newest.pid}\n`);
  });

  it('by a pattern of the command line', async () => {
    await start();
    const serving = await ServingTool.start(shop, `one=*/${NAME}`, `${shop.root}/*${process.pid}`, `two=${program}`);
    expect(await served(serving, HELD, `/p/one${HEAP}`)).toEqual(allInUse(HELD));
    expect(await served(serving, HELD, `/p/${process.pid}${HEAP}`)).toEqual(allInUse(HELD));
    expect(await served(serving, HELD, `/p/two${HEAP}`)).toEqual(allInUse(HELD));
  });
});

describe('by pid', () => {
  it('serves what the process left, with the Go side fetched last, and asks nobody at its address', async () => {
    const service = await start();
    const serving = await ServingTool.start(shop, `${service.pid}`, '--go', service.url);
    expect(await served(serving, GO)).toEqual(allInUse(GO));
    const { port } = new URL(service.url);
    await kill(service);
    const impostor = await listenAt(Number(port));

    expect(await served(serving, HELD)).toEqual(allInUse(HELD));
    expect(await served(serving, GO)).toEqual(allInUse(GO));
    expect(comments()).toEqual([
      expect.stringMatching(/^cgoprof: Go heap profile from http:\S+\/heap, taken at 20\S+Z$/),
      expect.stringMatching(ended(service.pid, KILLED)),
    ]);
    const notes = comments();
    const text = await serving.get(`${HEAP}?debug=1`);
    for (const note of notes) expect(text.text).toContain(`# ${note}\n`);
    expect(text.text).toContain('main.holdGo');
    expect((await serving.get('/debug/pprof/cmdline')).text).toBe(program);
    expect([...top(file()).keys()]).toEqual(expect.arrayContaining(['main.holdGo', 'hold']));
    const passedThrough = await serving.get('/debug/pprof/goroutine?debug=1');
    expect(passedThrough).toEqual({
      status: 502,
      text: expect.stringMatching(/^cgoprof: \S+: its service is not asked any more\n {2}pid \d+ has ended/),
    });
    expect(impostor).toEqual([]);

    await start(); // of the same name, but another process
    await serving.get('/debug/pprof/heap');
    expect(await served(serving, HELD)).toEqual(allInUse(HELD));
    expect(comments()[1]).toMatch(ended(service.pid, KILLED));
  });

  it('a normal exit is said to be one', async () => {
    const service = await start();
    const serving = await ServingTool.start(shop, `${service.pid}`);
    await service.end('exit 0');
    await serving.get(HEAP);
    expect(await served(serving, HELD)).toEqual(allInUse(HELD));
    expect(comments()).toEqual([expect.stringMatching(ended(service.pid, 'it exited'))]);
    expect(check(file()).Comments).toContain(
      'cgoprof: C side only: --go names no service of this target, so the Go side was not asked for',
    );
  });

  it('an exec is an end; a profiled program that comes of it is served', async () => {
    const service = await start();
    const serving = await ServingTool.start(shop, `${service.pid}`);
    await service.obey('grow');
    service.tell('exec');
    await serving.said(/has ended \(it executed another program\)/);
    expect(await served(serving, HELD)).toEqual(allInUse(HELD, 2));

    const following = await start('--follow');
    const other = await ServingTool.start(shop, `${following.pid}`);
    await following.obey('grow');
    expect(await served(other, HELD)).toEqual(allInUse(HELD, 2));
    following.tell('exec');
    await other.said(new RegExp(`: pid ${following.pid} is served now$`, 'm'));
    await until(() => /has ended/.test(other.stderr));
    let now = await served(other, HELD);
    while (now[0] === 0) now = await served(other, HELD); // until the new program has begun to hold
    expect(now).toEqual(allInUse(HELD));
  });

  it('a dead process is served by pid and by file, and a pid that is not there is refused', async () => {
    const service = await start();
    await kill(service);
    const [name = ''] = shop.segmentNames();
    const serving = await ServingTool.start(shop, `${service.pid}`, `b=${shop.segments}/${name}`);
    rmSync(`${shop.segments}/${name}`);
    for (const path of [HEAP, `/p/b${HEAP}`]) {
      expect(await served(serving, HELD, path)).toEqual(allInUse(HELD));
      expect(comments()).toEqual([
        expect.stringMatching(`^cgoprof: pid ${service.pid} has ended .* before it was served;`),
      ]);
    }
    const { code, stderr } = await shop.run(['serve', `${service.pid}`]);
    expect([code, stderr]).toEqual([
      1,
      expect.stringMatching(/^cgoprof: pid \d+: no such process, and none of that pid/),
    ]);
  });
});

it('a Go profile of another program is said to be one: in the profile, and once to whoever serves', async () => {
  const service = await start();
  const other = await Service.start(shop, [await buildTargetAside('attach-service'), compilePlugin(shop)]);
  const serving = await ServingTool.start(shop, `${service.pid}`, '--go', other.url);
  for (let i = 0; i < 2; i++) {
    await serving.fetchTo(HEAP, file());
    expect(comments()).toContainEqual(expect.stringMatching('^cgoprof: the Go profile is of another program'));
  }
  expect(serving.stderr.match(/the Go profile is of another program/g)).toHaveLength(1);
});

describe('the server', () => {
  it.each(['SIGINT', 'SIGTERM'] as const)('ends by %s with status 0, and its port is free', async (signal) => {
    const serving = await ServingTool.start(shop, NAME);
    const { host } = new URL(serving.url);
    const taken = await shop.run(['serve', NAME, '--listen', host]);
    expect(taken.code).toBe(1);
    expect(taken.stderr).toContain(
      `cgoprof: listening on ${host}: address already in use\n  Is another cgoprof listening? Port 0 takes one that is free.\n`,
    );
    expect(await serving.end(signal)).toMatchObject({ code: 0, signal: null });
    await listenAt(Number(host.split(':')[1]));
  });
});

/** Listens where a service was. @returns what it is asked */
async function listenAt(port: number): Promise<string[]> {
  const requests: string[] = [];
  const server = createServer((request, response) => {
    requests.push(request.url ?? '');
    response.end();
  });
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(port, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  return requests;
}
