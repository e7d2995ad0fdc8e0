// Promise: in exact mode every line of C that allocates shows its blocks and bytes to the byte, in use and altogether,
// below the Go lines that called it.
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Workshop } from '../support/cgoprof.js';
import { check, checkedSamples, list, type PprofSample, pprof, rawSamples, topRows } from '../support/go-pprof.js';
import { buildTargetAside, ProfiledTarget } from '../support/profiled-target.js';
import { linesOf, type Site, samplesAt, siteOf, sitesOf, truth } from '../support/sites.js';

const SITES = sitesOf('accuracy');

/** Sites whose own line calls a function that calls malloc, and that function. */
const BEHIND: Readonly<Record<string, RegExp>> = {
  strdup: /^(__)?strdup$/,
  cstring: /^main\._Cfunc_CString$/,
  cmalloc: /^main\._Cfunc__CMalloc$/,
};

/** The function that shows at the leaf. */
function leafOf({ name, function: own }: Site): RegExp {
  return BEHIND[name] ?? new RegExp(`^${own}$`);
}

let shop: Workshop;
const files = { alive: '', ended: '' };
beforeAll(async () => {
  shop = new Workshop();
  const target = await ProfiledTarget.start(shop, await buildTargetAside('accuracy'), 'ended.pb.gz');
  try {
    expect(target.process.losses).toEqual({});
    files.alive = await target.heap('alive.pb.gz');
    expect(await target.end()).toMatchObject({ code: 0, signal: null });
    files.ended = shop.path('ended.pb.gz');
  } finally {
    target.destroy();
  }
});
afterAll(() => shop.remove());

/**
 * Names of a stack without what stands between the program's own functions: C's library, the Go half of cgo's calls, the
 * closures around their arguments, the C half of an exported Go function, and the start of the main goroutine.
 */
function ownFunctions({ stack }: PprofSample): string[] {
  const own = stack.filter(({ mapping }) => !/\/(libc|ld-linux)/.test(mapping)).flatMap(({ lines }) => lines);
  const between = /^(main\._Cfunc_\w+|main\.\w+\.func\d+|goCallback|runtime\.main)$/;
  return own.map(({ name }) => name).filter((name) => !between.test(name));
}

describe.each([
  ['while it runs', 'alive'],
  ['at its end', 'ended'],
] as const)('a profile taken %s', (_, moment) => {
  describe.each([
    ['google/pprof', checkedSamples],
    ['go tool pprof -raw', rawSamples],
  ] as const)('read by %s', (_, read) => {
    let samples: PprofSample[];
    beforeAll(() => {
      samples = read(files[moment]);
    });

    test.each(SITES)('$name: its blocks and bytes, to the byte', (site) => {
      expect(samplesAt(samples, site).map(({ values }) => values)).toEqual([truth(site)]);
    });

    test.each(SITES)('$name: its line is the leaf, below its callers', (site) => {
      const stacks = samplesAt(samples, site);
      expect(stacks.map(ownFunctions)).toEqual([[site.function, ...site.callers]]);
      const lines = stacks.flatMap(linesOf);
      const own = lines.findIndex(({ name }) => name === site.function);
      expect(lines[own]).toEqual({ name: site.function, file: site.path, line: site.line });
      // Below it there is only what it called in order to allocate.
      expect(lines[0]?.name).toMatch(leafOf(site));
    });

    test('the inlined function is a line of its caller’s location', () => {
      const names = samplesAt(samples, siteOf('accuracy', 'inlined'))[0]?.stack[0]?.lines.map(({ name }) => name);
      expect(names).toEqual(['inlined_malloc', 'leak_inlined']);
    });

    test('a callback has Go and C in turn', () => {
      const stacks = samplesAt(samples, siteOf('accuracy', 'callback')).map(linesOf);
      expect(stacks.map((lines) => lines.map(({ name }) => name))).toEqual([
        [
          'leak_in_callback',
          'main._Cfunc_leak_in_callback',
          'main.goCallback',
          'goCallback',
          'call_go',
          'main._Cfunc_call_go',
          'main.leakThroughCallback',
          'main.main',
          'runtime.main',
        ],
      ]);
    });

    test('every stack ends where its thread began', () => {
      for (const site of SITES) {
        const roots = samplesAt(samples, site).map(({ stack }) => stack.at(-1));
        const mainGoroutine = { lines: [expect.objectContaining({ name: 'runtime.main' })] };
        const thread = { mapping: expect.stringMatching(/\/libc\./) };
        expect(roots).toEqual([expect.objectContaining(site.name === 'pthread' ? thread : mainGoroutine)]);
      }
    });
  });
});

test('both readers see the same', () => {
  expect(rawSamples(files.ended)).toEqual(checkedSamples(files.ended));
});

describe('go tool pprof', () => {
  test('-top has one node per function, with the bytes of all its lines', () => {
    const rows = topRows(files.ended);
    expect(rows.map(({ name }) => name)).toEqual([...new Set(rows.map(({ name }) => name))]);
    const live = new Map<string, number>();
    for (const site of SITES) {
      const leaf = leafOf(site).source;
      live.set(leaf, (live.get(leaf) ?? 0) + (site.live ? site.bytes : 0));
    }
    const flat = ([leaf]: [string, number]) => [leaf, rows.find(({ name }) => name.match(leaf))?.flat ?? 0];
    expect([...live].map(flat)).toEqual([...live]);
  });

  test('a function has one entry in the file', () => {
    const lines = check(files.ended).Samples.flatMap(({ Stack }) => Stack.flatMap(({ Lines }) => Lines));
    const own = lines.filter(({ Name, File }) => Name.startsWith('main.') || File.includes('/targets/accuracy/'));
    const entries = new Set(own.map(({ Name, FunctionID }) => `${Name} ${FunctionID}`));
    expect(entries.size).toBe(new Set(own.map(({ Name }) => Name)).size);
  });

  describe.each(['alloc_space', 'inuse_space'])('-list, %s', (index) => {
    const sites = SITES.filter(({ live }) => live || index === 'alloc_space');
    let routines: ReturnType<typeof list>;
    beforeAll(() => {
      const names = sites.map((site) => site.function);
      routines = list(names, `-sample_index=${index}`, files.ended);
      expect([...routines.keys()].sort()).toEqual([...new Set(names)].sort());
    });

    test.each(sites)('$name: its bytes stand on its line', (site) => {
      const routine = routines.get(site.function);
      expect(routine?.file).toBe(site.path);
      expect(routine?.lines.get(site.line)).toEqual([BEHIND[site.name] ? 0 : site.bytes, site.bytes]);
    });
  });

  test('-list shows the source', () => {
    const site = siteOf('accuracy', 'plain');
    const text = pprof(`-list=^${site.function}$`, files.ended);
    const source = readFileSync(site.path, 'utf8').split('\n')[site.line - 1];
    expect(text).toContain(`${site.line}:${source}\n`);
  });
});

test('the program frees what it does not keep: nothing else of it is in use', () => {
  const samples = checkedSamples(files.ended).filter(({ stack }) =>
    stack.some(({ mapping }) => /accuracy/.test(mapping)),
  );
  const atSites = new Set(SITES.flatMap((site) => samplesAt(samples, site)));
  const inUse = samples.filter((sample) => !atSites.has(sample) && (sample.values[3] ?? 0) > 0);
  // What the loader keeps for threads and libraries.
  for (const { stack } of inUse) expect(stack[0]?.mapping).toMatch(/\/(libc|ld-linux)/);
});
