import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { CgoprofError } from '../../../src/errors.js';
import type { Exchange } from '../../../src/serve/exchange.js';
import { answerIndex, type IndexView, indexPage } from '../../../src/serve/index-page.js';
import { FakeTarget, GO_PART } from '../../support/fake-target.js';
import { goProfile } from '../../support/go-profile-fixture.js';
import { segmentHeader } from '../../support/segment-fixture.js';

const NOTHING = { objects: 0, bytes: 0 };
const counts = (sites: number, sitesInUse: number, bytes: number | bigint) => ({
  sites,
  sitesInUse,
  buckets: sites + 2,
  allocated: NOTHING,
  inUse: { objects: 1, bytes },
});
const REFUSED = new CgoprofError({ what: 'its index page', why: 'connection refused' });
const VIEW: IndexView = {
  target: 'api',
  targets: ['api'],
  c: { pid: 4711, header: segmentHeader(), counts: counts(31, 7, 101_909), hasEnded: false, notes: [] },
  go: { counts: counts(211, 13, 2n ** 60n), rate: 524_288, takenAt: new Date('2026-11-22T03:06:00Z') },
  listed: [
    { name: 'allocs', count: 999, description: 'as Go has it' },
    { name: 'goroutine', count: 5, description: 'Stack traces' },
    { name: 'heap', count: 999, description: 'as Go has it' },
  ],
};

/** Count and link of every row, by name. */
const rows = (page: string): Record<string, readonly [count: number | string, href: string]> =>
  Object.fromEntries(
    [...page.matchAll(/<tr><td>([^<]*)<\/td><td><a href='([^']*)'>([^<]*)<\/a><\/td><\/tr>/g)].map(
      ([, count = '', href = '', name]) => [name, [/^\d+$/.test(count) ? Number(count) : count, href]],
    ),
  );
/** The cells of a side of the memory table. */
const cells = (page: string, side: string) =>
  new RegExp(`<th scope="row">${side}</th>(.*)</tr>`).exec(page)?.[1]?.replace(/<\/?td[^>]*>/g, '|');

it('heap counts what holds memory now and allocs what ever did, on both sides, whatever the service says', () => {
  const page = indexPage(VIEW);
  expect(rows(page)).toEqual({
    allocs: [31 + 211, 'allocs?debug=1'],
    cmdline: [0, 'cmdline?debug=1'],
    goroutine: [5, 'goroutine?debug=1'],
    heap: [7 + 13, 'heap?debug=1'],
    symbol: [0, 'symbol?debug=1'],
  });
  expect(page).not.toContain('999');
  expect(page).not.toContain('as Go has it');
  expect(cells(page, 'C')).toBe('|7||101909 (99.5 KiB)||31|');
  expect(cells(page, 'Go')).toBe('|13||1152921504606846976 (1048576 TiB)||211|');
  expect(page).toContain('This number only grows: its growth is no leak.');
  expect(page).toContain('one for each call stack and size of block: 213.');
  expect(page).toContain('C’s bytes are exact: every allocation is recorded.');
  expect(page).toContain('Go’s bytes are an estimate from samples, one in about 512 KiB.');
});

describe('what is missing is said, and the rest is there', () => {
  const missing = { missing: 'not <there>' };

  it('the Go side', () => {
    const page = indexPage({ ...VIEW, go: missing, listed: missing });
    expect(rows(page)).toMatchObject({
      heap: ['7 (C alone)', 'heap?debug=1'],
      allocs: ['31 (C alone)', 'allocs?debug=1'],
    });
    expect(rows(page)).not.toHaveProperty('goroutine');
    expect(page).not.toContain('goroutine?debug=2');
    expect(cells(page, 'Go')).toBe('|missing: not &lt;there&gt;|');
    expect(page).toContain('The service’s own profiles are not listed: not &lt;there&gt;');
    expect(page).not.toContain('Go tells');
  });

  it('the C side', () => {
    const page = indexPage({ ...VIEW, c: missing });
    expect(rows(page)).toMatchObject({ heap: ['13 (Go alone)', 'heap?debug=1'], goroutine: [5, 'goroutine?debug=1'] });
    expect(cells(page, 'C')).toBe('|missing: not &lt;there&gt;|');
  });

  it('both', () => {
    expect(rows(indexPage({ ...VIEW, c: missing, go: missing }))).toMatchObject({ heap: ['', 'heap?debug=1'] });
  });
});

it('what the process and the service say is text', () => {
  const script = '<script>alert(1)</script>';
  const header = segmentHeader({ exePath: `/srv/${script}` });
  const listed = [{ name: `a'>${script}`, count: 1, description: script }];
  const page = indexPage({
    ...VIEW,
    target: script,
    c: { pid: 4711, header, counts: counts(1, 1, 1), hasEnded: false, notes: [script] },
    listed,
  });
  expect(page).not.toContain('<script');
  expect(page.match(/&lt;script&gt;/g)).toHaveLength(7); // title, name, program, note, row, list: name and description
});

it('the name of a profile leads nowhere but to that profile', () => {
  const names = ['//elsewhere.example/x', 'javascript:alert(1)', 'example.org/pool.lent', 'a b?c#d'];
  const listed = names.map((name) => ({ name, count: 1, description: '' }));
  for (const [name, [, href]] of Object.entries(rows(indexPage({ ...VIEW, listed })))) {
    const { origin, pathname, search } = new URL(href, 'http://127.0.0.1:6061/p/api/debug/pprof/');
    expect([origin, search]).toEqual(['http://127.0.0.1:6061', '?debug=1']);
    expect(decodeURIComponent(pathname)).toBe(`/p/api/debug/pprof/${name}`);
  }
});

it('several targets lead to each other', () => {
  const page = indexPage({ ...VIEW, targets: ['api', 'worker.2'] });
  expect(page).toContain('<li><a href="/p/worker.2/debug/pprof/">worker.2</a></li>');
  expect(page).not.toContain('/p/api/');
  expect(indexPage({ ...VIEW, targets: ['api', 'a b?/<c>'] })).toContain(
    '<li><a href="/p/a%20b%3F%2F%3Cc%3E/debug/pprof/">a b?/&lt;c&gt;</a></li>',
  );
  expect(indexPage({ ...VIEW, target: 'a b', targets: ['api', 'a b'] })).toContain(
    '<a href="/?target=a%20b">Live view</a>',
  );
});

it('what was there before an attach is of no site, and is in the sum', () => {
  const header = segmentHeader({ attachments: 1, beforeAttachBytes: 3 * 2 ** 20 });
  const page = indexPage({
    ...VIEW,
    c: { pid: 4711, header, counts: counts(1, 1, 1024), hasEnded: false, notes: ['pid 4321: attached at some time'] },
  });
  expect(cells(page, 'C')).toBe('|1||3146752 (3 MiB)||1|');
  expect(page).toContain('Of C’s bytes 3 MiB were in use before cgoprof was attached');
  expect(page).toContain('<p class="note">pid 4321: attached at some time</p>');
});

it('of a side that is not profiled the page says so', () => {
  const { c, go } = VIEW;
  if ('missing' in c || 'missing' in go) throw new Error('no sides');
  const page = indexPage({ ...VIEW, c: { ...c, header: segmentHeader({ sampleRate: 0 }) }, go: { ...go, rate: 0 } });
  expect(page).toContain('C’s profiling is switched off.');
  expect(page).toContain('Go’s profiling is switched off.');
});

it('of a process that has ended the page says when its Go side was fetched, and has nothing collect', () => {
  const { c } = VIEW;
  if ('missing' in c) throw new Error('no C side');
  const [living, dead] = [indexPage(VIEW), indexPage({ ...VIEW, c: { ...c, hasEnded: true } })];
  expect(living).toContain('href="heap?gc=1"');
  expect(living).toContain('the gc GET parameter');
  expect(dead).not.toMatch(/\bgc\b/);
  expect(dead).toContain('the last profile that was fetched, at 2026-11-22T03:06:00.000Z.');
});

describe('answerIndex', () => {
  /** The page of a target whose parts a test gives. */
  async function pageOf(fake: FakeTarget): Promise<string> {
    const send = vi.fn();
    await answerIndex({ send } as unknown as Exchange, fake.served, [fake.served]);
    return send.mock.lastCall?.[1];
  }

  it('looks once for all who ask meanwhile, and anew for the next', async () => {
    const fake = new FakeTarget();
    fake.upstream = { name: 'http://127.0.0.1:6060/debug/pprof/', open: () => Promise.reject(REFUSED) };
    expect(new Set(await Promise.all([pageOf(fake), pageOf(fake)])).size).toBe(1);
    expect(fake.goAsked).toBe(1);
    await pageOf(fake);
    expect(fake.goAsked).toBe(2);
  });

  it('says that the Go side is of another program', async () => {
    const fake = new FakeTarget();
    fake.upstream = undefined;
    expect(await pageOf(fake)).not.toContain('of another program');
    fake.upstream = { name: 'http://127.0.0.1:6060/debug/pprof/', open: () => Promise.reject(REFUSED) };
    const mappings = [{ start: 1n, limit: 2n, offset: 0n, file: '/srv/other', buildId: 'ffff' }];
    fake.goAnswer = async () => ({ ...GO_PART, profile: goProfile({ samples: [], mappings }) });
    expect(await pageOf(fake)).toContain('<p class="note">the Go profile is of another program or build (/srv/other)');
  });

  it('says what is to be known of the C side', async () => {
    const fake = new FakeTarget();
    fake.header = { attachments: 1, attachedUnixNs: 1_700_000_000_000_000_000n };
    fake.counters = { missedFrees: 31 };
    const page = await pageOf(fake);
    expect(page).toContain('<p class="note">pid 4321: attached at 2023-11-14T22:13:20');
    expect(page).toContain('<p class="note">pid 4321: blocks whose free was not seen: 31</p>');
  });

  it('says of a process that has ended once that it has, and asks nobody', async () => {
    const fake = new FakeTarget();
    fake.end();
    const page = await pageOf(fake);
    expect(page.match(/has ended/g)).toHaveLength(1);
    expect(page).toContain('The service’s own profiles are not listed: it is not asked any more');
  });

  it('is of one process: Go’s of one that is replaced meanwhile is not beside C of the next', async () => {
    const fake = new FakeTarget();
    fake.upstream = { name: 'http://127.0.0.1:6060/debug/pprof/', open: () => Promise.reject(REFUSED) };
    const later = {
      ...GO_PART,
      profile: goProfile({ samples: [{ stack: ['main.f@/f.go:1'], values: [1, 31, 1, 31] }] }),
    };
    fake.goAnswer = async () => {
      fake.restart();
      fake.goAnswer = async () => later;
      return GO_PART;
    };
    expect(cells(await pageOf(fake), 'Go')).toBe('|1||31||1|');
    expect(fake.goAsked).toBe(2);
  });

  it('waits two seconds for Go and no longer', async () => {
    vi.useFakeTimers();
    onTestFinished(() => void vi.useRealTimers());
    const fake = new FakeTarget();
    fake.upstream = { name: 'http://127.0.0.1:6060/debug/pprof/', open: () => Promise.reject(REFUSED) };
    fake.goAnswer = () => new Promise(() => {});
    const page = pageOf(fake);
    await vi.advanceTimersByTimeAsync(2_000);
    expect(cells(await page, 'Go')).toBe('|missing: the service has not answered within 2 seconds|');
  });
});
