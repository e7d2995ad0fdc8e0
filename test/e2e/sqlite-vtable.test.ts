// Promise: a real leak is found on both its sides, in one profile. go-sqlite3 v1.14.48 forgets, at every SELECT on a
// virtual table written in Go, the handle that stands for the cursor (a block of one byte in C) and the cursor (Go).
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Workshop } from '../support/cgoprof.js';
import { type PprofSample, rawSamples } from '../support/go-pprof.js';
import { buildTargetAside } from '../support/profiled-target.js';
import { Service } from '../support/service.js';
import { linesOf, total } from '../support/sites.js';

const PACKAGE = 'github.com/mattn/go-sqlite3';
const FEW = 503;
const MANY = 1009;
const GROWTH = MANY - FEW;
/** A cursor of 1021 bytes, in the size class that Go has for it. */
const CURSOR_BYTES = 1024;

let shop: Workshop;
beforeAll(() => {
  shop = new Workshop();
});
afterAll(() => shop.remove());

/** The merged profile after so many SELECTs. The service still runs: its connection would free the handles. */
async function after(selects: number, executable: string): Promise<string> {
  const env = { GO_MEMPROFILERATE: '1' };
  const service = await Service.run(shop, ['--rate', '1'], [executable, `${selects}`], { env });
  const file = shop.path(`after-${selects}.pb.gz`);
  const { code, stderr } = await shop.run(['heap', `${service.pid}`, '--gc', '--go', service.url, '-o', file]);
  expect([code, stderr]).toEqual([0, expect.stringMatching(/^cgoprof: wrote \S+: [^\n]*\n$/)]);
  await service.end('');
  return file;
}

/** What a build's memory grew by between few SELECTs and many, as `go tool pprof -raw -base` says. */
async function growth(variant = ''): Promise<PprofSample[]> {
  const executable = await buildTargetAside('sqlite-vtable', { variant });
  const [few, many] = [await after(FEW, executable), await after(MANY, executable)];
  return rawSamples(many, `-base=${few}`);
}

/** Samples of what a function allocates for cursors, itself or by a call of C. */
function forCursors(samples: readonly PprofSample[], allocator: string): PprofSample[] {
  const own = (sample: PprofSample) => linesOf(sample).filter(({ name }) => !name.includes('._Cfunc_'));
  return samples.filter((sample) => {
    const [leaf, ...callers] = own(sample).map(({ name }) => name);
    return leaf === allocator && callers.includes(`${PACKAGE}.goVOpen`);
  });
}

/** Without what Go's profile puts down to the same function if the first GC starts in it: the mark workers' closures. */
const cursorsOf = (samples: readonly PprofSample[]): PprofSample[] =>
  forCursors(samples, 'main.newCursor').filter(({ values: [objects = 0, bytes] }) => bytes === objects * CURSOR_BYTES);

/** Whether C.malloc made it: Go's own samples have no such frame. */
const isOfC = (sample: PprofSample): boolean => linesOf(sample)[0]?.name === `${PACKAGE}._Cfunc__CMalloc`;

/** The source of the line of a function in a stack. */
function sourceOf(name: string, sample: PprofSample): string {
  const { file = '', line = 0 } = linesOf(sample).find((one) => one.name === name) ?? {};
  return readFileSync(file, 'utf8').split('\n')[line - 1]?.trim() ?? '';
}

it('v1.14.48: every SELECT leaves a handle in C and a cursor in Go', async () => {
  const samples = await growth();

  const handles = forCursors(samples, `${PACKAGE}.newHandle`).filter(isOfC);
  expect(handles.map(({ values }) => values)).toEqual([[GROWTH, GROWTH, GROWTH, GROWTH]]);
  const [handle] = handles as [PprofSample];
  expect(sourceOf(`${PACKAGE}.newHandle`, handle)).toBe('var p unsafe.Pointer = C.malloc(C.size_t(1))');
  expect(sourceOf(`${PACKAGE}.goVOpen`, handle)).toBe('return C.uintptr_t(uintptr(newHandle(vt.module.c, &vtc)))');
  expect(sourceOf('main.main', handle)).toMatch(/db\.QueryRow\("SELECT .*\.Scan\(&sum\)/);
  const way = [`${PACKAGE}.newHandle`, `${PACKAGE}.goVOpen`, 'cXOpen', 'sqlite3VdbeExec', 'sqlite3_step'];
  const callers = [`${PACKAGE}.(*SQLiteRows).Next`, 'database/sql.(*Row).Scan', 'main.main', 'runtime.main'];
  const names = linesOf(handle).map(({ name }) => name);
  expect([...new Set(names)].filter((name) => [...way, ...callers].includes(name))).toEqual([...way, ...callers]);

  const cursors = cursorsOf(samples);
  const bytes = GROWTH * CURSOR_BYTES;
  expect(cursors.map(({ values }) => values)).toEqual([[GROWTH, bytes, GROWTH, bytes]]);
  expect(sourceOf('main.newCursor', cursors[0] as PprofSample)).toBe('return &numbersCursor{value: 1}');
});

it('v1.14.49: neither stays', async () => {
  const samples = await growth('fixed');
  const handles = forCursors(samples, `${PACKAGE}.newHandle`).filter(isOfC);
  expect(total(handles)).toEqual([GROWTH, GROWTH, 0, 0]);
  expect(total(cursorsOf(samples))).toEqual([GROWTH, GROWTH * CURSOR_BYTES, 0, 0]);
});
