// Promise: whatever becomes of a Go service under `cgoprof run`, its end is reported as it was and its profile is had:
// from -o, from the segment that it left, or from the last answer of its net/http/pprof.
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Finished, Workshop } from '../support/cgoprof.js';
import { check, rawSamples } from '../support/go-pprof.js';
import { buildTargetAside } from '../support/profiled-target.js';
import { Relay } from '../support/relay.js';
import { Service, until } from '../support/service.js';
import { allInUse, samplesAt, siteOf, total } from '../support/sites.js';

const HELD = siteOf('service', 'held');
const GO = siteOf('service', 'go');

let shop: Workshop;
let service: string;
beforeAll(async () => {
  service = await buildTargetAside('service');
  shop = new Workshop();
});
afterAll(() => shop.remove());
beforeEach(() => {
  shop.removeSegments();
  rmSync(output(), { force: true });
});

const output = (): string => shop.path('merged.pb.gz');
const run = (...args: string[]): Promise<Service> => Service.run(shop, ['--rate', '1', ...args], [service]);

/** What a profile says of a site. */
const at = (site: typeof HELD, file = output()): number[] => total(samplesAt(rawSamples(file), site));

/** `cgoprof heap TARGET` writes a profile in which the service's C memory is whole. */
async function expectHeap(target: string): Promise<void> {
  const file = shop.path('heap.pb.gz');
  const { code, stderr } = await shop.run(['heap', target, '-o', file]);
  expect([code, stderr]).toEqual([0, expect.stringContaining(`wrote ${file}: `)]);
  expect(at(HELD, file)).toEqual(allInUse(HELD));
}

/** The segment that the tool says it has kept. */
function kept({ stderr }: Finished): string {
  return /the segment of pid \d+ is kept: cgoprof heap (\S+) -o FILE\n/.exec(stderr)?.[1] ?? '';
}

type Ending = readonly [how: string, end: (service: Service) => void, status: Pick<Finished, 'code' | 'signal'>];

const told = (command: string, code: number): Ending => [
  command,
  (service) => service.tell(command),
  { code, signal: null },
];
const killed = (signal: NodeJS.Signals, status: Pick<Finished, 'code' | 'signal'>): Ending => [
  signal,
  ({ pid }) => void process.kill(pid, signal),
  status,
];

/** With C's exit the library sees the end; that is a normal one, with whatever status. */
const NORMAL: readonly Ending[] = [
  told('return', 0),
  told('os.Exit 0', 0),
  told('_exit 0', 0),
  told('exit 7', 7),
  killed('SIGTERM', { code: null, signal: 'SIGTERM' }),
  killed('SIGINT', { code: null, signal: 'SIGINT' }),
  killed('SIGHUP', { code: null, signal: 'SIGHUP' }),
];

/** Go turns most of what would kill a C program into exit status 2. */
const OTHERS: readonly Ending[] = [
  told('os.Exit 3', 3),
  told('_exit 5', 5),
  told('panic', 2),
  told('abort', 2),
  killed('SIGQUIT', { code: 2, signal: null }),
  killed('SIGSEGV', { code: 2, signal: null }),
  killed('SIGKILL', { code: null, signal: 'SIGKILL' }),
];

describe('run -o writes what the service held when it ended', () => {
  it.each(NORMAL)('by %s, and keeps nothing', async (_, end, status) => {
    const running = await run('-o', output());
    end(running);
    expect(await running.finished).toMatchObject(status);
    expect(at(HELD)).toEqual(allInUse(HELD));
    expect(shop.segmentNames()).toEqual([]);
  });

  it.each(OTHERS)('by %s, and keeps the evidence', async (_, end, status) => {
    const running = await run('-o', output());
    end(running);
    const finished = await running.finished;
    expect(finished).toMatchObject(status);
    expect(at(HELD)).toEqual(allInUse(HELD));
    expect(shop.segmentNames()).toEqual([kept(finished).split('/').at(-1)]);
    await expectHeap(kept(finished));
    await expectHeap(`${running.pid}`);
  });
});

describe('run without -o', () => {
  it.each(NORMAL)('by %s: nothing is kept', async (_, end, status) => {
    const running = await run();
    end(running);
    expect(await running.finished).toMatchObject(status);
    expect(shop.segmentNames()).toEqual([]);
  });

  it.each(OTHERS)('by %s: the evidence is kept', async (_, end, status) => {
    const running = await run();
    end(running);
    const finished = await running.finished;
    expect(finished).toMatchObject(status);
    await expectHeap(kept(finished));
    await expectHeap(`${running.pid}`);
  });

  it('cgoprof itself killed: the service goes on and can be looked at, alive and dead', async () => {
    // The shell keeps the service's input open, which would end with cgoprof.
    const words = [...shop.tool, 'run', '--rate', '1', '--', service];
    const running = await Service.start(shop, ['sh', '-c', '"$@"; sleep 1000', 'sh', ...words]);
    const tool = stat(running.pid).parent;
    process.kill(tool, 'SIGKILL');
    await until(() => stat(running.pid).parent !== tool);
    await expectHeap(`${running.pid}`);
    await running.obey('grow');
    running.tell('return');
    await until(() => !stat(running.pid).runs);
    const file = shop.path('after.pb.gz');
    expect((await shop.run(['heap', `${running.pid}`, '-o', file])).code).toBe(0);
    expect(at(HELD, file)).toEqual(allInUse(HELD, 2));
  });
});

function stat(pid: number): { runs: boolean; parent: number } {
  const path = `/proc/${pid}/stat`;
  const [, state = 'X', parent] = /\) (\S) (\d+)/.exec(existsSync(path) ? readFileSync(path, 'latin1') : '') ?? [];
  return { runs: !/[XZ]/.test(state), parent: Number(parent) };
}

it('no more than 8 segments of dead processes are kept: the oldest go first', async () => {
  const { stdout } = await shop.run(['env', '--rate', '1']);
  const environment = ['env', ...stdout.trim().split('\n')];
  const made: string[] = [];
  for (let i = 0; i < 11; i++) {
    const running = await Service.start(shop, [...environment, service]);
    const living = shop.segmentNames().find((name) => name.startsWith(`${running.pid}-`)) ?? '';
    // Each start makes room before it adds its own.
    expect(shop.segmentNames()).toEqual([...made.slice(-8), living].sort());
    made.push(living);
    process.kill(running.pid, 'SIGKILL');
    await running.finished;
  }
  expect(new Set(made).size).toBe(11);
});

describe('run --go URL', () => {
  /** A service whose Go profile is asked for through a relay. */
  async function asked(): Promise<{ running: Service; relay: Relay }> {
    const relay = await Relay.start();
    const running = await run('-o', output(), '--go', relay.url, '--go-interval', '100ms');
    relay.target = running.url;
    // One answer that was passed on, and a later request: by then the tool has read the first.
    await until(() => relay.passed >= 2);
    return { running, relay };
  }

  const expectAge = ({ stderr }: Finished, url: string): void => {
    const age = new RegExp(`Go heap profile ${url}/debug/pprof/heap: taken \\d[\\d.]* m?s before the command ended`);
    expect(stderr).toMatch(age);
    expect(check(output()).Comments).toContainEqual(expect.stringMatching(age));
  };

  it('merges the last answer of a service that was killed', async () => {
    const { running, relay } = await asked();
    process.kill(running.pid, 'SIGKILL');
    const finished = await running.finished;
    expect(at(HELD)).toEqual(allInUse(HELD));
    expect(at(GO)).toEqual(allInUse(GO));
    expectAge(finished, relay.url);
  });

  it('merges the last good answer of a service that stopped answering', async () => {
    const { running, relay } = await asked();
    await running.obey('close');
    await running.obey('grow');
    const { dropped } = relay;
    await until(() => relay.dropped >= dropped + 2);
    const finished = await running.end('return');
    expect(finished).toMatchObject({ code: 0 });
    // C as it was at the end, Go as it was when it could last be asked.
    expect(at(HELD)).toEqual(allInUse(HELD, 2));
    expect(at(GO)).toEqual(allInUse(GO));
    expectAge(finished, relay.url);
  });

  it('says that a service which never answered has no Go side, and why', async () => {
    const relay = await Relay.start();
    const running = await run('-o', output(), '--go', relay.url, '--go-interval', '100ms');
    await until(() => relay.requests.length >= 2);
    const { code, stderr } = await running.end('return');
    expect(code).toBe(0);
    expect(stderr).toMatch(/without the Go side.*\ncgoprof: Go heap profile http\S+: the server answered 503/);
    expect(at(HELD)).toEqual(allInUse(HELD));
    expect(at(GO)).toEqual([0, 0, 0, 0]);
  });
});

it('run --go FILE merges a profile that was written meanwhile', async () => {
  const file = shop.path('go.pb.gz');
  const running = await run('-o', output(), '--go', file);
  const answer = await fetch(`${running.url}/debug/pprof/heap`);
  writeFileSync(file, Buffer.from(await answer.arrayBuffer()));
  const { code, stderr } = await running.end('return');
  expect([code, stderr]).toEqual([0, expect.stringMatching(/go\.pb\.gz: taken \S+ m?s before the command ended/)]);
  expect(at(HELD)).toEqual(allInUse(HELD));
  expect(at(GO)).toEqual(allInUse(GO));
});

describe('heap --go URL', () => {
  it('--gc has the service collect, so that the profile is of now', async () => {
    const running = await run();
    const relay = await Relay.start();
    relay.target = running.url;
    await running.obey('grow');
    const { code } = await shop.run(['heap', `${running.pid}`, '--gc', '--go', relay.url, '-o', output()]);
    expect(code).toBe(0);
    expect(relay.requests).toEqual(['/debug/pprof/heap?gc=1']);
    expect(at(HELD)).toEqual(allInUse(HELD, 2));
    expect(at(GO)).toEqual(allInUse(GO, 2));
  });

  it('does not without', async () => {
    const running = await run();
    const relay = await Relay.start();
    relay.target = running.url;
    const { code } = await shop.run(['heap', `${running.pid}`, '--go', relay.url, '-o', output()]);
    expect(code).toBe(0);
    expect(relay.requests).toEqual(['/debug/pprof/heap']);
    expect(at(GO)).toEqual(allInUse(GO));
  });
});
