/**
 * A merged profile is one that the Go tools take as their own: `go tool pprof` in all its views, and google/pprof's
 * Parse and CheckValid. The Go side is real; the C side is a segment made up around the same program's addresses.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Profile } from 'pprof-format';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { buildTarget } from '../../scripts/build-targets.mjs';
import { cProfile } from '../../src/merge/c-profile.js';
import { parseHeapProfile } from '../../src/merge/go-profile.js';
import { mergeProfiles } from '../../src/merge/merge-profiles.js';
import type { SegmentModule, SourceLine } from '../../src/native-binding.js';
import { writeProfile } from '../../src/present/write-profile.js';
import type { SymbolizedSegment } from '../../src/symbolize/symbolize-segment.js';
import { type CheckedSample, check, pprof, top } from '../support/go-pprof.js';
import { bucket, segmentHeader } from '../support/segment-fixture.js';

/** What heapstacks prints. */
interface StackReport {
  readonly Mapping: string;
  readonly Stack: { PC: string; Name: string; File: string; Line: number }[];
}

const C_SOURCE = `#include <stdlib.h>
/* Never freed. */
void *leak(unsigned long size) {
  return malloc(size);
}
`;
const C_LINE = 4;

/** 9 blocks of 3001 bytes, 4 of them freed. */
const C_COUNTS = { allocs: 9, allocBytes: 27009, frees: 4, freeBytes: 12004 };
const C_HELD = 5 * 3001;
/** 7 blocks of 1021 bytes, which Go rounds to its size class of 1024. */
const GO_HELD = 7 * 1024;

let dir = '';
let goFile = '';
let mergedFile = '';
let goSide: Profile;
let merged: Profile;

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'merged-profile-'));
  goFile = join(dir, 'go.pb.gz');
  mergedFile = join(dir, 'merged.pb.gz');
  writeFileSync(join(dir, 'leak.c'), C_SOURCE);
  const report = JSON.parse(execFileSync(buildTarget('heapstacks'), [goFile], { encoding: 'utf8' })) as StackReport;
  goSide = parseHeapProfile(readFileSync(goFile), goFile);
  const c = cProfile(cSide(report), { showPlumbing: false });
  merged = mergeProfiles({ go: [goSide], c: [c], comments: ['cgoprof: a comment'] });
  await writeProfile(merged, mergedFile);
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

function line(name: string, file = '', number = 0, startLine = 0): SourceLine {
  return { name, systemName: name, file, line: number, startLine };
}

/** The program's code as its loader sees it: from the ELF headers, where Go has whole pages. */
function programModule(mapsLine: string): SegmentModule {
  const [range = '', , offset = '', , , path = ''] = mapsLine.split(/\s+/);
  const [start = 0n, end = 0n] = range.split('-').map((hex) => BigInt(`0x${hex}`));
  return {
    id: 1,
    path,
    buildId: '',
    imageStart: start,
    imageEnd: end,
    bias: 0n,
    textStart: start,
    textEnd: end - 123n,
    textOffset: BigInt(`0x${offset}`),
    isExecutable: true,
    isGo: true,
    isVdso: false,
  };
}

/** malloc called by leak(), called through cgo by the Go function that the program took its stack in. */
function cSide({ Mapping, Stack }: StackReport): SymbolizedSegment {
  const program = programModule(Mapping);
  const start = 0x7e57_0000_0000n;
  const library = {
    ...program,
    id: 2,
    path: join(dir, 'libleak.so'),
    bias: start,
    textStart: start + 0x1000n,
    textEnd: start + 0x2000n,
    isExecutable: false,
    isGo: false,
  };
  // Its own line table tells where each function begins; here, Go's profile does.
  const functions = check(goFile).Samples.flatMap((sample) => sample.Stack.flatMap(({ Lines }) => Lines));
  const startLine = (name: string) => functions.find(({ Name }) => Name === name)?.StartLine ?? 0;
  const frames: [module: SegmentModule, pc: bigint, lines: SourceLine[]][] = [
    [library, start + 0x1234n, [line('leak', join(dir, 'leak.c'), C_LINE, 3)]],
    [library, start + 0x1456n, []],
    [program, program.textStart + 0x11n, [line('runtime.asmcgocall.abi0', 'asm_amd64.s', 900)]],
    [program, program.textStart + 0x22n, [line('runtime.cgocall', 'cgocall.go', 167)]],
    ...Stack.map(({ PC, Name, File, Line }): [SegmentModule, bigint, SourceLine[]] => {
      return [program, BigInt(PC), [line(Name, File, Line, startLine(Name))]];
    }),
  ];
  const known = (module: SegmentModule) =>
    new Map(frames.filter(([of]) => of === module).map(([, pc, lines]) => [pc, { lines, isGo: module.isGo }]));
  const stack = {
    frames: BigUint64Array.from(frames, ([, pc]) => pc),
    frameModules: Uint16Array.from(frames, ([module]) => module.id),
  };
  return {
    segment: {
      header: segmentHeader({ sampleRate: 1 }),
      modules: [program, library],
      buckets: [
        bucket({ ...stack, ...C_COUNTS }),
        // 2^53 + 2 bytes came and went. No view of memory in use may notice.
        bucket({ ...stack, allocs: 1, frees: 1, allocBytes: 2 ** 53 + 2, freeBytes: 2 ** 53 + 2 }),
      ],
    },
    locations: new Map([
      [1, known(program)],
      [2, known(library)],
    ]),
  };
}

describe('google/pprof', () => {
  test('parses the file and finds it valid, with Go’s types and one entry per binary', () => {
    const profile = check(mergedFile);
    const { SampleTypes, DefaultSampleType, PeriodType, Period, Comments } = profile;
    expect(SampleTypes).toEqual([
      'alloc_objects/count',
      'alloc_space/bytes',
      'inuse_objects/count',
      'inuse_space/bytes',
    ]);
    expect({ DefaultSampleType, PeriodType, Period }).toEqual({
      DefaultSampleType: '',
      PeriodType: 'space/bytes',
      Period: '1',
    });
    expect(Comments).toEqual(['cgoprof: every C allocation was recorded', 'cgoprof: a comment']);
    const files = profile.Mappings.map(({ File }) => File);
    expect(files[0]).toMatch(/\/heapstacks$/);
    expect(files.filter((file) => file === files[0])).toHaveLength(1);
    expect(files).toContain(join(dir, 'libleak.so'));
    expect(profile.Mappings.every(({ HasFunctions }) => HasFunctions)).toBe(true);
  });

  test('finds every byte of C at its stack, beyond 2^53 too', () => {
    const samples = check(mergedFile).Samples.filter(({ Labels }) => Labels?.allocator?.[0] === 'c');
    const names = samples.map(({ Stack }) => Stack.map(({ Lines }) => Lines.map(({ Name }) => Name).join()));
    const stack = ['leak', '[libleak.so+0x1455]', 'main.serve', 'main.main', 'runtime.main'];
    expect(names).toEqual([stack, stack]);
    expect(samples.map(({ Values }) => Values)).toEqual([
      ['9', '27009', '5', '15005'],
      ['1', '9007199254740994', '0', '0'],
    ]);
    expect(samples.map(({ NumLabels }) => NumLabels)).toEqual([{ bytes: ['3001'] }, { bytes: ['9007199254740994'] }]);
  });

  test('finds Go’s samples as they were, with one label more', () => {
    const isNonzero = ({ Values }: CheckedSample) => Values.some((value) => value !== '0');
    const plain = ({ Values, NumLabels, Stack }: CheckedSample) =>
      JSON.stringify({
        Values,
        NumLabels,
        stack: Stack.map(({ Address, Lines }) => [Address, Lines.map((at) => ({ ...at, FunctionID: 0 }))]),
      });
    const go = check(mergedFile).Samples.filter(({ Labels }) => Labels?.allocator?.[0] === 'go');
    expect(go.map(plain).sort()).toEqual(check(goFile).Samples.filter(isNonzero).map(plain).sort());
  });

  test('has one location for a call that both sides came through', () => {
    const ids = new Map<string, Set<string>>();
    for (const { Labels, Stack } of check(mergedFile).Samples) {
      const main = Stack.find(({ Lines }) => Lines[0]?.Name === 'main.main');
      const serve = Stack.find(({ Lines }) => Lines[0]?.Name === 'main.serve');
      if (main === undefined || serve === undefined) continue;
      const allocator = Labels?.allocator?.[0] ?? '';
      ids.set(allocator, (ids.get(allocator) ?? new Set()).add(`${main.ID} at ${main.Address}`));
    }
    expect([...(ids.get('c') ?? [])]).toHaveLength(1);
    expect(ids.get('c')).toEqual(ids.get('go'));
  });

  test('merges as we do', async () => {
    const ours = join(dir, 'twice.pb.gz');
    const again = parseHeapProfile(readFileSync(mergedFile), mergedFile);
    await writeProfile(mergeProfiles({ go: [again, goSide], c: [merged] }), ours);
    const labelled = join(dir, 'labelled.pb.gz');
    await writeProfile(goSide, labelled);
    const theirs = check(mergedFile, labelled, mergedFile);
    const own = check(ours);
    const flags = ({ File }: { File: string }) => File;
    expect({ ...own, Mappings: own.Mappings.map(flags) }).toEqual({ ...theirs, Mappings: theirs.Mappings.map(flags) });
  });

  test('refuses what is no profile', () => {
    expect(() => check(join(dir, 'leak.c'))).toThrow(/leak\.c: /);
  });
});

describe('go tool pprof', () => {
  test('-top has a function once, with the bytes of both sides below it', () => {
    const nodes = top(mergedFile);
    expect(nodes.get('leak')).toEqual([C_HELD, C_HELD]);
    expect(nodes.get('main.hold')).toEqual([GO_HELD, GO_HELD]);
    expect(nodes.get('[libleak.so+0x1455]')).toEqual([0, C_HELD]);
    const [, goHeld = 0] = top(goFile).get('main.serve') ?? [];
    expect(goHeld).toBeGreaterThanOrEqual(GO_HELD);
    expect(nodes.get('main.serve')).toEqual([0, goHeld + C_HELD]);
    expect([...nodes.keys()].filter((name) => name.startsWith('main.serve'))).toEqual(['main.serve']);
    expect([...nodes.keys()].filter((name) => /cgocall|goexit/.test(name))).toEqual([]);
  });

  test('-dot draws it as one node', () => {
    const dot = pprof('-dot', '-nodecount=1000', '-nodefraction=0', '-edgefraction=0', mergedFile);
    expect(dot.match(/^N\d+ \[label="main\\nserve\\n/gm)).toHaveLength(1);
    expect(dot.match(/^N\d+ \[label="leak\\n/gm)).toHaveLength(1);
  });

  test('-tagroot splits by allocator, -tagfocus picks one', () => {
    const roots = top('-tagroot=allocator', mergedFile);
    expect(roots.get('c')).toEqual([0, C_HELD]);
    expect(roots.get('go')?.[1]).toBeGreaterThanOrEqual(GO_HELD);
    expect([...top('-tagfocus=allocator=c', mergedFile)]).toEqual(
      expect.arrayContaining([
        ['main.serve', [0, C_HELD]],
        ['runtime.main', [0, C_HELD]],
      ]),
    );
    expect(top('-tagfocus=allocator=go', mergedFile).has('leak')).toBe(false);
  });

  test('-base and -diff_base subtract', async () => {
    expect([...top('-base', mergedFile, mergedFile).values()].filter(([flat]) => flat !== 0)).toEqual([]);
    const grown = join(dir, 'grown.pb.gz');
    await writeProfile(mergeProfiles({ go: [], c: [merged, merged] }), grown);
    expect(top('-base', mergedFile, grown).get('leak')).toEqual([C_HELD, C_HELD]);
    expect(top('-diff_base', mergedFile, grown).get('leak')).toEqual([C_HELD, C_HELD]);
    // And what was there before the C side was known: Go's own profile, read by the Go tool.
    expect(top('-base', goFile, mergedFile).get('leak')).toEqual([C_HELD, C_HELD]);
    expect(top('-base', goFile, mergedFile).get('main.hold')).toBeUndefined();
  });

  test('-lines, -list, -traces, -peek and -raw show the C line and the Go line', () => {
    const cLine = `${join(dir, 'leak.c')}:${C_LINE}`;
    expect(top('-lines', mergedFile).get(`leak ${cLine}`)).toEqual([C_HELD, C_HELD]);
    const list = pprof('-unit=B', '-list=^leak$', mergedFile);
    expect(list).toMatch(new RegExp(`^\\s*${C_HELD}B?\\s+${C_HELD}B?\\s+${C_LINE}:\\s+return malloc\\(size\\);$`, 'm'));
    const serve = pprof('-unit=B', '-list=^main.serve$', mergedFile);
    expect(serve).toMatch(new RegExp(`^\\s*\\.\\s+${GO_HELD}B?\\s+\\d+:\\s+hold\\(1021\\)$`, 'm'));
    expect(serve).toMatch(/^\s*\.\s+\d+B?\s+\d+:\s+stack = callers\(\)$/m);
    const traces = pprof('-unit=B', '-traces', '-focus=^leak$', mergedFile);
    expect(traces).toMatch(/allocator:\s+c\n\s+bytes:\s+2\.93kB\n/);
    expect(traces).toMatch(new RegExp(`${C_HELD}B?\\s+leak\\n\\s+\\[libleak\\.so\\+0x1455\\]\\n\\s+main\\.serve\\n`));
    expect(pprof('-unit=B', '-peek=^main.serve$', mergedFile)).toMatch(/main\.main[\s\S]*main\.serve[\s\S]*main\.hold/);
    expect(pprof('-raw', mergedFile)).toMatch(/inuse_space\/bytes\n[\s\S]*\n\s+9\s+27009\s+5\s+15005: /);
  });

  test('-comments shows how it was taken', () => {
    expect(pprof('-comments', mergedFile)).toContain('cgoprof: every C allocation was recorded\n');
  });

  test('-sample_index has all four of Go’s', () => {
    const leak = (index: string) => top(`-sample_index=${index}`, '-focus=^leak$', mergedFile).get('leak')?.[0];
    expect(leak('alloc_objects')).toBe(10);
    expect(leak('inuse_objects')).toBe(5);
    // It prints a double; -raw and profilecheck above have the exact number.
    expect(leak('alloc_space')).toBe(Number(2n ** 53n + 2n + 27009n));
  });
});
