import { rmSync } from 'node:fs';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { RunProcesses } from '../../../src/collect/run-processes.js';
import type { SegmentHeader } from '../../../src/native-binding.js';
import { codedError, FakeWorld } from '../../support/fake-world.js';
import { heldSegments } from '../../support/held-segments.js';
import { PRELOADED, recordedProcess } from '../../support/profiled-process.js';

const RUN = 'abc';

let world: FakeWorld;
let processes: RunProcesses;
beforeEach(() => {
  world = new FakeWorld();
  processes = new RunProcesses(world.context(), behindDescriptors(), RUN);
});
afterEach(() => {
  processes.close();
  world.remove();
});

/** The addon, which finds behind a descriptor of ours the segment that was found last. */
function behindDescriptors() {
  let last = '';
  const { native } = world;
  return {
    ...native,
    readSegmentHeader: (path: string) => {
      if (!path.includes('/self/fd/')) last = path;
      return native.readSegmentHeader(last);
    },
  };
}

/** A process of the run. @returns its segment */
function start(pid: number, program: string, beside: Partial<SegmentHeader> = {}): string {
  const own = { runId: RUN, exePath: `/srv/${program}`, pid, startTimeTicks: 1n, createdUnixNs: BigInt(pid) };
  const header = { ...own, ...beside };
  return recordedProcess(world, pid, { library: PRELOADED, header });
}

const end = (pid: number): void => rmSync(`${world.procRoot}/${pid}`, { recursive: true });

/** Name and pid of each; of one that has ended the pid in parentheses. */
function seen(): string[] {
  processes.look();
  return processes.targets.map((target) => {
    const { found, livePid } = target.current();
    return `${target.name} ${livePid ?? `(${found.header.pid})`}`;
  });
}

it('each is served under the name of its program; those of others are not', () => {
  start(9, 'api', { runId: 'def' });
  expect(seen()).toEqual([]);
  start(10, 'api');
  start(11, 'worker');
  start(12, 'api');
  expect(seen()).toEqual(['api 10', 'worker 11', 'api-2 12']);
  expect(seen()).toEqual(['api 10', 'worker 11', 'api-2 12']);
});

it('the living come first, and who starts takes the place of one of its name that has ended', () => {
  start(10, 'migrate');
  start(11, 'api');
  expect(seen()).toEqual(['migrate 10', 'api 11']);
  end(10);
  expect(seen()).toEqual(['api 11', 'migrate (10)']);
  end(11);
  start(12, 'worker');
  start(13, 'api');
  expect(seen()).toEqual(['api 13', 'worker 12', 'migrate (10)']);
});

it('those that are new at the same look come as they started, whatever their pids', () => {
  start(1000, 'api', { createdUnixNs: 1n });
  start(999, 'api', { createdUnixNs: 2n });
  start(100, 'worker', { createdUnixNs: 3n });
  expect(seen()).toEqual(['api 1000', 'api-2 999', 'worker 100']);
});

it('one that is still being set up is looked at again', () => {
  const path = start(10, 'api');
  const segment = world.segments.get(path) as never;
  world.segments.set(path, codedError('SEGMENT_STARTING', 'starting'));
  expect(seen()).toEqual([]);
  world.segments.set(path, segment);
  expect(seen()).toEqual(['api 10']);
});

it('a defect of ours with one of them leaves those that came after it for the next look', () => {
  const broken = start(10, 'broken');
  start(11, 'api');
  const { readSegmentHeader } = world.native;
  let reads = 0;
  vi.spyOn(world.native, 'readSegmentHeader').mockImplementation((path) => {
    // The first is to see whose it is.
    if (path === broken && ++reads === 2) throw new TypeError('a defect');
    return readSegmentHeader(path);
  });
  expect(() => processes.look()).toThrow('a defect');
  expect(seen()).toEqual(['api 11']);
});

it('no more than 64 are held: the first that has ended makes room; at the end none is', () => {
  for (let pid = 100; pid < 170; pid++) start(pid, `p${pid}`);
  expect(seen()).toHaveLength(64);
  expect(seen()[63]).toBe('p163 163');
  expect(world.err).toBe('cgoprof: 64 processes are served; those that start now are not\n');
  end(100);
  end(101);
  start(170, 'late');
  const names = seen();
  expect(names).toHaveLength(64);
  expect(names).toContain('late 170');
  expect(names).toContain('p101 (101)');
  expect(names).not.toContain('p100 (100)');
  expect(heldSegments(world.root)).toHaveLength(64);
  processes.close();
  expect(heldSegments(world.root)).toEqual([]);
});
