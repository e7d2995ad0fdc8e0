import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { CgoprofError } from '../../../src/errors.js';
import { type Exchange, HttpError } from '../../../src/serve/exchange.js';
import { answerLiveData, LiveTargets } from '../../../src/serve/live-data.js';
import type { LiveState } from '../../../src/serve/live-state.js';
import { FakeTarget, GO_PART } from '../../support/fake-target.js';
import { goProfile } from '../../support/go-profile-fixture.js';

const NOW = 1_000_000;

beforeEach(() => void vi.useFakeTimers({ now: NOW }));
afterEach(() => void vi.useRealTimers());

async function stateOf(target: FakeTarget, at = NOW): Promise<LiveState> {
  const live = new LiveTargets([target.served]);
  live.record(at);
  const state = await live.state(null, at);
  if (state === undefined) throw new Error('no target');
  return state;
}

describe('LiveTargets', () => {
  it('tells what is now', async () => {
    const { history, ...now } = await stateOf(new FakeTarget());
    const line = { function: 'hold', file: '/srv/app/cache.c', line: 7, via: '', bytes: 997, low: 997, high: 997 };
    expect(now).toEqual({
      at: NOW,
      targets: ['app'],
      target: 'app',
      pprof: 'debug/pprof/',
      problem: '',
      ended: '',
      identity: expect.any(String),
      process: expect.objectContaining({ pid: 4321, state: 'running', rate: 1, attached: null }),
      c: { bytes: 997, beforeAttach: null, sites: [line], siteCount: 1, notes: [] },
      go: { served: true, bytes: 7919, takenAt: NOW, problem: '', other: '' },
      rss: 1 << 20,
    });
    expect(history.at).toEqual([NOW]);
  });

  it('a reading that fails by a defect of ours leaves those of other targets', async () => {
    const [broken, good] = [new FakeTarget('broken'), new FakeTarget('good')];
    const live = new LiveTargets([broken.served, good.served]);
    broken.error = new TypeError('a defect');
    expect(() => live.record(NOW)).toThrow('a defect');
    broken.error = undefined;
    expect((await live.state('good'))?.history).toMatchObject({ at: [NOW], c: [997] });
    expect((await live.state('broken'))?.history).toMatchObject({ at: [NOW], c: [null] });
  });

  it('shares a look among pages that ask at about the same time', async () => {
    const target = new FakeTarget();
    const live = new LiveTargets([target.served]);
    await Promise.all([live.state(null, NOW), live.state(null, NOW)]);
    await live.state(null, NOW + 4_999);
    expect([target.goAsked, target.cAsked]).toEqual([1, 1]);
    await live.state(null, NOW + 5_000);
    expect([target.goAsked, target.cAsked]).toEqual([2, 2]);
  });

  it('shares no look of a process that has ended, or was replaced', async () => {
    const target = new FakeTarget();
    const live = new LiveTargets([target.served]);
    const [first, lives] = [await live.state(null, NOW), await live.state(null, NOW + 1)];
    target.end();
    const ended = await live.state(null, NOW + 2);
    target.livePid = 4321;
    target.restart();
    const next = await live.state(null, NOW + 3);
    expect([first, lives, ended, next].map((state) => [state?.at, state?.ended !== ''])).toEqual([
      [NOW, false],
      [NOW, false],
      [NOW + 2, true],
      [NOW + 3, false],
    ]);
    expect(next?.identity).not.toBe(first?.identity);
  });

  it('does not share a failure', async () => {
    const target = new FakeTarget();
    const live = new LiveTargets([target.served]);
    target.error = new HttpError(503, 'busy');
    await expect(live.state(null, NOW)).rejects.toThrow('busy');
    target.error = undefined;
    expect((await live.state(null, NOW))?.problem).toBe('');
  });

  it('tells why nothing can be read', async () => {
    const target = new FakeTarget();
    target.error = new CgoprofError({ what: 'app', why: 'no process yet', hint: 'Start it.' });
    expect(await stateOf(target)).toMatchObject({
      problem: 'app: no process yet. Start it.',
      process: null,
      c: null,
      rss: null,
    });
  });

  it('tells the end of a process, and what it held last', async () => {
    const target = new FakeTarget();
    target.end();
    target.goAnswer = async () => undefined;
    const { ended, c, go, rss } = await stateOf(target);
    expect(ended).toMatch(/^pid 4321 has ended /);
    expect([c?.bytes, go.bytes, rss]).toEqual([997, null, null]);
  });

  it('tells what Go held last of a process that has ended, however long ago', async () => {
    const target = new FakeTarget();
    target.end();
    target.goAnswer = async () => undefined;
    target.lastGo = { bytes: 7919, takenAt: new Date(NOW - 3_600_000) };
    expect((await stateOf(target)).go).toEqual({
      served: true,
      bytes: 7919,
      takenAt: NOW - 3_600_000,
      problem: '',
      other: '',
    });
  });

  it('tells what C held before the attach', async () => {
    const target = new FakeTarget();
    target.header = { attachments: 1, beforeAttachBytes: 1013 };
    expect((await stateOf(target)).c).toMatchObject({ bytes: 997 + 1013, beforeAttach: 1013 });
  });

  it('tells the lines that call what cgo generates, by the name of the call', async () => {
    const target = new FakeTarget();
    const stub = 'main._Cfunc_CString@_cgo_gotypes.go:64';
    target.buckets = [
      { stack: [stub, 'main.one@/srv/app/main.go:3'], allocs: 1, allocBytes: 31 },
      { stack: [stub, 'main.one@/srv/app/main.go:5'], allocs: 1, allocBytes: 29 },
      { stack: [stub, 'main.one@/srv/app/main.go:3', 'main.main@/srv/app/main.go:9'], allocs: 1, allocBytes: 37 },
    ];
    const sites = (await stateOf(target)).c?.sites.map(({ function: name, line, via, bytes }) => [
      name,
      line,
      via,
      bytes,
    ]);
    expect(sites).toEqual([
      ['main.one', 3, 'C.CString', 68],
      ['main.one', 5, 'C.CString', 29],
    ]);
  });

  it('tells what was lost, without the pid', async () => {
    const target = new FakeTarget();
    target.counters = { missedFrees: 3 };
    expect((await stateOf(target)).c?.notes).toEqual(['blocks whose free was not seen: 3']);
  });

  it('finds targets by name, those after the first below /p/', async () => {
    const live = new LiveTargets([new FakeTarget('one').served, new FakeTarget('other').served]);
    expect(await live.state('other')).toMatchObject({
      targets: ['one', 'other'],
      target: 'other',
      pprof: 'p/other/debug/pprof/',
    });
    expect((await live.state('one'))?.pprof).toBe('debug/pprof/');
    expect(await live.state('third')).toBeUndefined();
  });

  it('follows targets that come and go, and forgets those that are gone', async () => {
    const [one, other] = [new FakeTarget('one').served, new FakeTarget('other').served];
    const served = [one];
    const live = new LiveTargets(served);
    live.record(NOW);
    served.splice(0, 1, other);
    live.record(NOW + 1);
    expect(await live.state(null)).toMatchObject({ targets: ['other'], history: { at: [NOW + 1] } });
    served.splice(0, 1, one);
    expect((await live.state(null))?.history.at).toEqual([]);
  });
});

describe('names of the target', () => {
  it.each([
    ['control characters', 'two\u0085\tlines', 'two lines'],
    ['changes of direction', 'left\u202eright\u2066', 'left right'],
    ['more than anybody reads', 'x'.repeat(501), `${'x'.repeat(500)}…`],
  ])('are told without %s', async (_what, name, legible) => {
    const target = new FakeTarget();
    target.buckets = [{ stack: [name], allocs: 1, allocBytes: 2 }];
    expect((await stateOf(target)).c?.sites[0]?.function).toBe(legible);
  });

  it('are a hundred at most', async () => {
    const target = new FakeTarget();
    target.buckets = Array.from({ length: 103 }, (_, i) => ({ stack: [`f${i}`], allocs: 1, allocBytes: 200 - i }));
    const { c } = await stateOf(target);
    expect([c?.sites.length, c?.siteCount, c?.sites.at(-1)?.function]).toEqual([100, 103, 'f99']);
    expect(c?.bytes).toBe(103 * 200 - (103 * 102) / 2);
  });
});

describe('the Go side', () => {
  it('is none without a service', async () => {
    const target = new FakeTarget();
    target.upstream = undefined;
    target.goAnswer = async () => undefined;
    expect((await stateOf(target)).go).toMatchObject({ served: false, bytes: null, takenAt: null, problem: '' });
  });

  it('may fail, and C is told all the same', async () => {
    const target = new FakeTarget();
    target.goAnswer = () => Promise.reject(new CgoprofError({ what: 'Go heap profile', why: 'no connection' }));
    const { go, c } = await stateOf(target);
    expect(go).toMatchObject({ served: true, bytes: null, takenAt: null, problem: 'Go heap profile: no connection' });
    expect(c?.bytes).toBe(997);
  });

  it('is not waited for when the service is busy', async () => {
    const target = new FakeTarget();
    target.goAnswer = () => new Promise(() => {});
    const live = new LiveTargets([target.served]);
    const state = live.state(null, NOW);
    await vi.advanceTimersByTimeAsync(2_000);
    expect((await state)?.go.problem).toBe('the service has not answered yet');
  });

  it('is asked for once of a service that never answered, also when it is to be told what it is', async () => {
    const target = new FakeTarget();
    target.goAnswer = () => Promise.reject(new CgoprofError({ what: 'Go heap profile', why: 'no connection' }));
    target.goNote = async () => {
      await target.goPart();
      return undefined;
    };
    expect((await stateOf(target)).go.problem).toBe('Go heap profile: no connection');
    expect(target.goAsked).toBe(1);
  });

  it('is told for a minute, and then only when it was', async () => {
    const target = new FakeTarget();
    target.goAnswer = async () => undefined;
    target.lastGo = { bytes: 7919, takenAt: new Date(NOW) };
    expect((await stateOf(target, NOW + 59_999)).go.bytes).toBe(7919);
    expect((await stateOf(target, NOW + 60_000)).go).toMatchObject({ bytes: null, takenAt: NOW });
  });

  describe('of another program', () => {
    const mapping = { start: 1n, limit: 2n, offset: 0n, file: '/srv/other', buildId: 'cc03' };
    const profile = goProfile({ samples: [], mappings: [mapping] });
    const OTHER = /another program or build \(\/srv\/other\)/;

    it('is told to be that', async () => {
      const target = new FakeTarget();
      target.goAnswer = async () => ({ ...GO_PART, profile });
      expect((await stateOf(target)).go).toMatchObject({ problem: '', other: expect.stringMatching(OTHER) });
    });

    it('is so still when the process has ended, or its service does not answer', async () => {
      const target = new FakeTarget();
      target.goAnswer = async () => ({ ...GO_PART, profile });
      await stateOf(target);
      target.goAnswer = () => Promise.reject(new CgoprofError({ what: 'Go heap profile', why: 'no connection' }));
      expect((await stateOf(target)).go).toMatchObject({ bytes: 7919, other: expect.stringMatching(OTHER) });
      target.goAnswer = async () => ({ ...GO_PART, profile });
      target.end();
      expect((await stateOf(target)).go).toMatchObject({ bytes: 7919, other: expect.stringMatching(OTHER) });
    });
  });

  it('is not known where the process cannot be read, whatever came last', async () => {
    const target = new FakeTarget();
    await stateOf(target);
    target.error = new CgoprofError({ what: 'app', why: 'cannot be read' });
    expect((await stateOf(target)).go).toMatchObject({ served: true, bytes: null, takenAt: null });
  });

  it('of one process is not told beside C of the next', async () => {
    const target = new FakeTarget();
    let first = true;
    target.goAnswer = async () => {
      if (first) target.restart();
      first = false;
      return GO_PART;
    };
    await stateOf(target);
    expect([target.goAsked, target.cAsked]).toEqual([2, 2]);
  });
});

describe('answerLiveData', () => {
  const ask = async (query: string): Promise<unknown> => {
    const live = new LiveTargets([new FakeTarget().served]);
    let sent: unknown;
    const exchange = {
      query: new URLSearchParams(query),
      send: ((headers, body, status = 200) => {
        sent = [status, headers['Content-Type'], JSON.parse(body as string)];
      }) satisfies Exchange['send'],
    };
    await answerLiveData(exchange as unknown as Exchange, live);
    return sent;
  };

  it('sends JSON', async () => {
    expect(await ask('target=app')).toEqual([
      200,
      'application/json; charset=utf-8',
      expect.objectContaining({ target: 'app' }),
    ]);
  });

  it('names the targets that there are to who asks for another', async () => {
    const type = 'application/json; charset=utf-8';
    expect(await ask('target=../x')).toEqual([404, type, { targets: ['app'] }]);
  });
});
