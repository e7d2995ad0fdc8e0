import { gunzipSync } from 'node:zlib';
import { Profile } from 'pprof-format';
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import type { FollowedSegment, FollowedTarget } from '../../../src/collect/followed-target.js';
import type { GoHeapBytes } from '../../../src/collect/go-heap.js';
import { type HeapQuery, Upstream } from '../../../src/collect/upstream.js';
import { CgoprofError } from '../../../src/errors.js';
import type { DefaultType } from '../../../src/serve/encode-profile.js';
import { ServedTarget, type Snapshot } from '../../../src/serve/served-target.js';
import { Turns } from '../../../src/serve/turns.js';
import { FakeWorld } from '../../support/fake-world.js';
import { goProfile } from '../../support/go-profile-fixture.js';
import { serve } from '../../support/http-server.js';
import { bucket, MAIN, sourceLine } from '../../support/segment-fixture.js';

let world: FakeWorld;
let target: ServedTarget;
/** What stands for the target now. */
let current: FollowedSegment;
/** Why nothing does. */
let missing: CgoprofError | undefined;
/** How the service answers. */
let answer: () => Promise<GoHeapBytes>;
let asked: number;
let turns: Turns;
/** Whose symbols were kept. */
let kept: string[];

beforeEach(() => {
  world = new FakeWorld();
  current = living(10);
  missing = undefined;
  answer = async () => heap(7919);
  asked = 0;
  kept = [];
  const upstream = {
    heap: () => {
      asked += 1;
      return answer();
    },
  } as unknown as Upstream;
  turns = new Turns();
  target = targetWith(upstream);
});
afterEach(() => world.remove());

function targetWith(upstream: Upstream | undefined): ServedTarget {
  return new ServedTarget(world.context(), world.native, {
    name: 'api',
    followed: { current: standing } as FollowedTarget,
    upstream,
    showPlumbing: false,
    symbols: { load: async () => new Map(), store: async (key) => void kept.push(key) },
    turns,
  });
}

function standing(): FollowedSegment {
  if (missing !== undefined) throw missing;
  return current;
}

function living(pid: number): FollowedSegment {
  const path = world.segment(`${pid}-1.seg`, { createdUnixNs: BigInt(pid) });
  return {
    found: { path, header: world.native.readSegmentHeader(path), livePid: pid },
    path,
    livePid: pid,
    end: undefined,
  };
}

const AT = new Date('2026-11-22T03:06:00Z');
const ended = (segment: FollowedSegment): FollowedSegment => ({
  ...segment,
  livePid: undefined,
  end: { at: AT, how: 'died' },
});

/** Go's heap profile with so many bytes. */
function heap(bytes: number, takenAt = AT): GoHeapBytes {
  const samples = [{ stack: ['main.main@/srv/app/main.go:3'], values: [1, bytes, 1, bytes] }];
  const timeNanos = BigInt(takenAt.getTime()) * 1_000_000n;
  return { name: 'http://127.0.0.1:6060/debug/pprof/heap', bytes: goProfile({ samples, timeNanos }).encode(), takenAt };
}

const goBytes = ({ go }: Snapshot) => go?.profile.sample.map(({ value }) => Number(value[3]));
const take = () => target.snapshot({ gc: false });
const NOTE =
  'pid 10 has ended (killed, or by an exit of Go’s own) at 2026-11-22T03:06:00.000Z; this is what its segment holds';

const SOURCE = expect.stringMatching(/^Go heap profile from http:\S+\/heap, taken at 2026-11-22T/);
const NONE_LEFT = 'C side only: no profile of the Go side was taken while the process lived';
const NOT_ASKED = 'C side only: --go names no service of this target, so the Go side was not asked for';

async function comments(snapshot: Snapshot): Promise<string[]> {
  const { comment, stringTable } = Profile.decode(gunzipSync(await snapshot.encoded('')));
  return comment.map((index) => stringTable.strings[Number(index)] ?? '');
}

describe('a process that has ended', () => {
  it('keeps the Go side that was fetched last; its service is not asked', async () => {
    expect((await take()).notes).toEqual([SOURCE]);
    current = ended(current);
    const snapshot = await take();
    expect(goBytes(snapshot)).toEqual([7919]);
    expect(snapshot.notes).toEqual([SOURCE, NOTE]);
    expect(await comments(snapshot)).toEqual(
      expect.arrayContaining([
        'cgoprof: Go heap profile from http://127.0.0.1:6060/debug/pprof/heap, taken at 2026-11-22T03:06:00.000Z',
        `cgoprof: ${NOTE}`,
      ]),
    );
    expect(asked).toBe(1);
  });

  it('has no Go side when none was fetched', async () => {
    current = ended(current);
    expect(await take()).toMatchObject({ go: undefined, notes: [NONE_LEFT, NOTE] });
    expect(asked).toBe(0);
  });

  it('has not the Go side of the one before it', async () => {
    await take();
    current = ended(living(11));
    expect((await take()).go).toBeUndefined();
  });

  it('while its service is asked: what then answers is not its own', async () => {
    await take();
    answer = async () => {
      current = ended(current);
      return heap(104_729);
    };
    expect(goBytes(await take())).toEqual([7919]);
    expect(target.lastGo?.bytes).toBe(7919);
  });

  it('while its service is asked, which fails: that is no failure', async () => {
    await take();
    answer = async () => {
      current = ended(current);
      throw new Error('connection refused');
    };
    expect(await take()).toMatchObject({ notes: [SOURCE, NOTE] });
  });
});

describe('what Go had in use last', () => {
  it('is told of a process that has ended', async () => {
    await take();
    current = ended(current);
    expect(target.lastGo).toEqual({ bytes: 7919, takenAt: AT });
  });

  it('is not told of the process that comes next', async () => {
    await take();
    current = living(11);
    expect(target.lastGo).toBeUndefined();
  });

  it('is not told while there is no process', async () => {
    await take();
    missing = new CgoprofError({ what: 'api', why: 'no such process' });
    expect(target.lastGo).toBeUndefined();
  });
});

describe('a process that is replaced', () => {
  it('while its service is asked: both sides are of the next', async () => {
    answer = async () => {
      answer = async () => heap(104_729);
      current = living(11);
      return heap(7919);
    };
    const snapshot = await take();
    expect(goBytes(snapshot)).toEqual([104_729]);
    expect(snapshot.symbolized.segment.header.pid).toBe(11);
  });

  it('again and again is given up', async () => {
    let pid = 10;
    answer = async () => {
      current = living(++pid);
      return heap(7919);
    };
    await expect(take()).rejects.toThrow('api: its process ends and is started anew while it is looked at');
    expect(asked).toBe(3);
  });

  it('does not share what is under way of the one before', async () => {
    let letGo = () => {};
    answer = () =>
      new Promise((resolve) => {
        letGo = () => resolve(heap(7919));
      });
    const first = target.goPart({ gc: false });
    current = living(11);
    answer = async () => heap(104_729);
    expect((await target.goPart({ gc: false }))?.profile.sample[0]?.value[3]).toBe(104_729);
    letGo();
    await first;
    expect(target.lastGo?.bytes).toBe(104_729);
  });

  it('while its C side waits for a turn: both sides are of the next', async () => {
    const snapshot = await whileWaitingForATurn(take, () => {
      answer = async () => heap(104_729);
      current = living(11);
    });
    expect(goBytes(snapshot)).toEqual([104_729]);
    expect(snapshot.symbolized.segment.header.pid).toBe(11);
  });

  it('is not what later askers get of a snapshot that is under way', async () => {
    let late: Promise<Snapshot> | undefined;
    whileItIsRead(() => {
      current = ended(current);
      late = take();
    });
    const begun = await take();
    expect(begun.notes).toEqual([SOURCE, NOTE]);
    expect(await late).not.toBe(begun);
  });

  it('while its C side is read: what is told is of its end', async () => {
    whileItIsRead(() => (current = ended(current)));
    const snapshot = await take();
    expect([goBytes(snapshot), snapshot.notes, snapshot.target.end?.at]).toEqual([[7919], [SOURCE, NOTE], AT]);
  });

  it('is not what later askers get of a C side that is under way', async () => {
    const begun = target.cPart();
    current = living(11);
    const late = target.cPart();
    expect((await begun).target.livePid).toBe(10);
    expect((await late).target.livePid).toBe(11);
  });

  it('is not read through a descriptor that is another file’s by now', () => {
    const { found } = current;
    const other = living(11);
    expect(() => target.segment({ ...other, found })).toThrow('api: its process was replaced by another');
  });
});

/** The next reading of a segment. */
function whileItIsRead(meanwhile: () => void): void {
  const { readSegment } = world.native;
  vi.spyOn(world.native, 'readSegment').mockImplementationOnce((path) => {
    meanwhile();
    return readSegment(path);
  });
}

/** Begins it while all turns are taken, and lets it have one after `meanwhile`. */
async function whileWaitingForATurn<T>(begin: () => Promise<T>, meanwhile: () => void): Promise<T> {
  let handBack = () => {};
  const held = new Promise<void>((resolve) => (handBack = resolve));
  const busy = Array.from({ length: 4 }, () => turns.take(() => held));
  const take = vi.spyOn(turns, 'take');
  const begun = begin();
  await vi.waitFor(() => expect(take).toHaveBeenCalled());
  meanwhile();
  handBack();
  await Promise.all(busy);
  return begun;
}

describe('turns', () => {
  it('are not for services that do not answer: other targets are not kept waiting', async () => {
    turns = new Turns({ atOnce: 1, maxWaitMs: 1 });
    const silent = { heap: () => new Promise<never>(() => {}) } as unknown as Upstream;
    const hung = targetWith(silent);
    void hung.snapshot({ gc: false });
    void hung.snapshot({ gc: true });
    await new Promise(setImmediate);
    expect(await targetWith(undefined).snapshot({ gc: false })).toMatchObject({ notes: [NOT_ASKED] });
  });

  it.each<[string, (full: ServedTarget) => Promise<unknown>]>([
    ['a snapshot', (full) => full.snapshot({ gc: false })],
    ['a C side', (full) => full.cPart()],
    ['a C side read anew', (full) => full.newCPart()],
    ['what changed', (full) => full.cChanges(current, full.segment(current), full.segment(current))],
  ])('are for %s', async (_, begin) => {
    turns = new Turns({ atOnce: 1, maxWaitMs: 1 });
    void turns.take(() => new Promise(() => {}));
    await expect(begin(targetWith(undefined))).rejects.toMatchObject({ status: 503 });
  });

  it('are for encoding as well', async () => {
    const snapshot = await take();
    const encoded = await whileWaitingForATurn(
      () => snapshot.encoded(''),
      () => {},
    );
    expect(encoded).toBe(await snapshot.encoded(''));
  });
});

describe('what is under way', () => {
  it('is shared by all who ask for the same', async () => {
    const [one, other] = await Promise.all([take(), take()]);
    expect(other).toBe(one);
    expect(asked).toBe(1);
    const [c, sameC] = await Promise.all([target.cPart(), target.cPart()]);
    expect(sameC).toBe(c);
  });

  it('is not shared by who has Go collect first and who does not', async () => {
    const upstream = { heap: async ({ gc }: HeapQuery) => heap(gc ? 104_729 : 7919) } as unknown as Upstream;
    const served = targetWith(upstream);
    const snapshots = await Promise.all([false, true].map((gc) => served.snapshot({ gc })));
    expect(snapshots.map(goBytes)).toEqual([[7919], [104_729]]);
  });
});

it('viewers of one snapshot have what each of them shows first', async () => {
  const snapshot = await take();
  const shownFirst = async (type: DefaultType) => {
    const { defaultSampleType, stringTable } = Profile.decode(gunzipSync(await snapshot.encoded(type)));
    return stringTable.strings[Number(defaultSampleType)];
  };
  expect([await shownFirst(''), await shownFirst('alloc_space'), await shownFirst('')]).toEqual([
    '',
    'alloc_space',
    '',
  ]);
});

it('names of addresses that a client has thought up are not kept, those of stacks are', async () => {
  current = ended(current);
  const { path, found } = current;
  const frames = { frames: BigUint64Array.of(MAIN.textStart + 16n), frameModules: Uint16Array.of(MAIN.id) };
  const modules = [{ ...MAIN, path: world.write('srv/app', '') }];
  world.segments.set(path, { header: found.header, modules, buckets: [bucket(frames)] });
  vi.spyOn(world.native, 'symbolizeModule').mockImplementation(async () => ({
    lines: [[sourceLine('leak@/src/leak.c:7')]],
    isGo: new Uint8Array(1),
    file: '',
    warning: '',
  }));
  const names = await target.namesFor(current, target.segment(current));
  expect([...(names.locations.get(MAIN.id)?.values() ?? [])]).toMatchObject([{ lines: [{ name: 'leak' }] }]);
  expect(kept).toEqual([]);
  await target.symbolized(current);
  expect(kept).toEqual([`build-id ${MAIN.buildId}`]);
});

it('a Go side that cannot be had is an error while the process lives', async () => {
  answer = () => Promise.reject(new Error('connection refused'));
  await expect(take()).rejects.toThrow('connection refused');
});

describe('the service of another process', () => {
  const NOTE_OF_OTHER =
    'the Go profile may be of another process than the C side: the command line that the service tells is not that of pid 10';
  let told: string;
  let asked: string[];

  /** A target whose service tells a command line, and runs as `./api -port 6061`. */
  async function withService(type = 'text/plain; charset=utf-8'): Promise<ServedTarget> {
    asked = [];
    world.write('proc/10/cmdline', './api\0-port\x006061\0');
    const server = await serve((request, response) => {
      asked.push(request.url ?? '');
      if (request.url !== '/debug/pprof/cmdline') response.end(heap(7919).bytes);
      else response.writeHead(told === '' ? 404 : 200, { 'Content-Type': type }).end(told);
    });
    onTestFinished(() => server.close());
    return targetWith(new Upstream(server.url));
  }

  it.each([
    ['the same words', './api\0-port\x006061', []],
    ['a replica', './api\0-port\x006062', [NOTE_OF_OTHER]],
    ['nothing', '', []],
  ])('tells %s', async (_, words, notes) => {
    told = words;
    const replica = await withService();
    for (let i = 0; i < 2; i++) {
      const snapshot = await replica.snapshot({ gc: false });
      expect(snapshot.notes).toEqual([SOURCE, ...notes]);
      expect((await comments(snapshot)).filter((text) => text.includes('another process'))).toHaveLength(notes.length);
    }
    expect(asked.filter((path) => path.endsWith('/cmdline'))).toHaveLength(1);
    expect(world.err.split('may be of another process')).toHaveLength(notes.length + 1);
  });

  it('tells what is no command line', async () => {
    told = '<html>';
    expect((await (await withService('text/html')).snapshot({ gc: false })).notes).toEqual([SOURCE]);
  });

  it('is known of when the process has ended, and asked again about the next', async () => {
    told = './api\0-port\x006062';
    const replica = await withService();
    await replica.snapshot({ gc: false });
    current = ended(current);
    expect((await replica.snapshot({ gc: false })).notes).toEqual([SOURCE, NOTE, NOTE_OF_OTHER]);
    current = living(11);
    world.write('proc/11/cmdline', './api\0-port\x006062\0');
    expect((await replica.snapshot({ gc: false })).notes).toEqual([SOURCE]);
  });

  it('is told of where there is no profile of it to look at yet', async () => {
    told = './api\0-port\x006062';
    const replica = await withService();
    expect(await replica.goNote(current, replica.segment(current))).toBe(NOTE_OF_OTHER);
    expect([...asked].sort()).toEqual(['/debug/pprof/cmdline', '/debug/pprof/heap']);
  });
});

describe('the C side alone', () => {
  it('asks no service, and says what it is', async () => {
    const snapshot = await target.snapshot({ gc: false, cAlone: true });
    expect(asked).toBe(0);
    expect(snapshot.go).toBeUndefined();
    expect(await comments(snapshot)).toContain(
      'cgoprof: the C side alone, as go=none asks for: what Go allocated is not in it',
    );
  });

  it('does not wait for one that is asked meanwhile', async () => {
    let letGo = () => {};
    answer = () =>
      new Promise((resolve) => {
        letGo = () => resolve(heap(7919));
      });
    const both = take();
    expect((await target.snapshot({ gc: false, cAlone: true })).go).toBeUndefined();
    letGo();
    expect(goBytes(await both)).toEqual([7919]);
  });

  it('is named by whoever fails for Go', async () => {
    answer = () => Promise.reject(new CgoprofError({ what: 'Go heap profile', why: 'refused', hint: 'Look.' }));
    await expect(take()).rejects.toMatchObject({
      message: 'Go heap profile: refused',
      hint: 'Look. The C side alone is at ?go=none.',
    });
  });
});

it('the command line is the kernel’s while the process lives, and then what it was', () => {
  world.write('proc/10/cmdline', './api\0renamed\0');
  const words = Buffer.from('./api\0-port\x006061');
  current = { ...current, words };
  expect(target.commandLine()).toEqual(Buffer.from('./api\0renamed'));
  current = ended(current);
  expect(target.commandLine()).toEqual(words);
  current = { ...current, words: undefined };
  expect(target.commandLine()).toBe(current.found.header.exePath);
});

describe('a profile’s time', () => {
  const timeOf = async () =>
    Profile.decode(gunzipSync(await (await target.snapshot({ gc: false, cAlone: true })).encoded(''))).timeNanos;

  it('is now while the process lives, and its end from then on', async () => {
    const before = BigInt(Date.now()) * 1_000_000n;
    expect(BigInt(await timeOf())).toBeGreaterThanOrEqual(before);
    current = ended(current);
    expect(await timeOf()).toBe(BigInt(AT.getTime()) * 1_000_000n);
  });

  it('is that end with an older Go side too', async () => {
    answer = async () => heap(7919, new Date(AT.getTime() - 60_000));
    await take();
    current = ended(current);
    const both = Profile.decode(gunzipSync(await (await take()).encoded('')));
    expect(BigInt(both.timeNanos)).toBe(BigInt(AT.getTime()) * 1_000_000n);
  });

  it('is unknown when nobody saw the end', async () => {
    current = { ...ended(current), end: { at: undefined, how: 'died' } };
    expect(await timeOf()).toBe(0);
  });
});
