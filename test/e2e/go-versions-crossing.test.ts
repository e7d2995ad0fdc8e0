// Promise: a stack leads from C to its Go callers and through them, back into C where Go was called from C, up to where
// its goroutine or thread began: in programs of every Go release, however they were built.
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Workshop } from '../support/cgoprof.js';
import { checkedSamples, type PprofLocation, type PprofSample } from '../support/go-pprof.js';
import { describeGoVersions, type GoVersion } from '../support/go-versions.js';
import { buildTargetAside, ProfiledTarget } from '../support/profiled-target.js';

/** What the crossing target prints; see its expect.go. */
interface Expectation {
  readonly blocks: number;
  readonly size: number;
  readonly frames: readonly string[];
}

/** What one build of the target did, and what the tool saw of it. */
interface Run {
  readonly expectations: readonly Expectation[];
  readonly losses: object;
  /** As a reader gets it. */
  readonly profile: readonly PprofSample[];
  /** With every frame there is. */
  readonly whole: readonly PprofSample[];
}

const BUILDS: Readonly<Record<string, readonly string[]>> = {
  plain: [],
  stripped: ['-ldflags=-s -w'],
  trimpath: ['-trimpath'],
  pie: ['-buildmode=pie'],
};

/** A release's first build of each kind compiles the standard library too. */
const BUILD_TIMEOUT = 600_000;

const SOURCE = fileURLToPath(new URL('../targets/crossing/main.go', import.meta.url));

/** Per size of block: the call in main.worker under which it was allocated. */
const CALLS: Readonly<Record<number, string>> = {
  1009: 'C.leak_direct()',
  1013: 'C.c_level(levels)',
  1019: 'goRecurse(goDepth)',
  1033: 'leakFromGo()',
};

let shop: Workshop;
beforeAll(() => {
  shop = new Workshop();
});
afterAll(() => shop.remove());

async function runUnderProfiler({ name, go, toolchain }: GoVersion, build: string): Promise<Run> {
  const variant = `${name}-${build}`;
  const executable = await buildTargetAside('crossing', { variant, go, toolchain, flags: BUILDS[build] ?? [] });
  const target = await ProfiledTarget.start(shop, executable, `${variant}.pb.gz`);
  try {
    const whole = await target.heap(`${variant}-whole.pb.gz`, '--show-plumbing');
    expect(await target.end()).toMatchObject({ code: 0, signal: null });
    return {
      expectations: JSON.parse(target.printed) as Expectation[],
      losses: target.process.losses,
      profile: checkedSamples(shop.path(`${variant}.pb.gz`)),
      whole: checkedSamples(whole),
    };
  } finally {
    target.destroy();
  }
}

/** Samples of blocks of one size; nothing else allocates any of that size. */
function samplesOf(size: number, samples: readonly PprofSample[]): PprofSample[] {
  return samples.filter(({ values: [objects = 0, bytes] }) => bytes === objects * size);
}

/** Functions of the target, leaf first, without the halves of cgo's calls and C's library. */
function ownFunctions({ stack }: PprofSample): string[] {
  const between = /^(main\._Cfunc_\w+|main\.\w+\.func\d+|goLevel|goOnThread)$/;
  const own = stack.filter(({ mapping }) => basename(mapping) === 'crossing').flatMap(({ lines }) => lines);
  return own.map(({ name }) => name).filter((name) => !between.test(name));
}

/** A stack without names of C functions: Go's lines, and a mark for each C frame. */
function shape({ stack }: PprofSample): string[] {
  const isGo = ({ lines }: PprofLocation) => lines.every(({ name }) => /^[\w/]+\./.test(name));
  return stack.map((location) => (isGo(location) ? location.lines.map(({ name }) => name).join() : 'C'));
}

const runs = new Map<string, Promise<Run>>();

/** Each build is run once, for whoever asks. */
function runOf(version: GoVersion, build: string): Promise<Run> {
  const key = `${version.name} ${build}`;
  const run = runs.get(key) ?? runUnderProfiler(version, build);
  runs.set(key, run);
  return run;
}

function checkTotals(run: () => Run): void {
  test('no stack is cut short, and nothing is lost', () => {
    expect(run().losses).toEqual({});
    const roots = run().profile.map(({ stack }) => stack.at(-1)?.lines.at(-1)?.name ?? '');
    expect(roots.filter((root) => root.startsWith('['))).toEqual([]);
  });

  test('every block is counted', () => {
    for (const { size, blocks } of run().expectations) {
      const bytes = blocks * size;
      const values = samplesOf(size, run().profile).map((sample) => sample.values);
      expect({ size, values }).toEqual({ size, values: [[blocks, bytes, blocks, bytes]] });
    }
  });
}

/** Chains by name, in a build that has C's names. */
function checkNames(run: () => Run): void {
  test('every chain is there: names, order, up to where it began', () => {
    for (const { size, frames } of run().expectations) {
      expect(samplesOf(size, run().profile).map(ownFunctions)).toEqual([frames]);
    }
  });

  test('Go frames are on the line of the call', () => {
    const source = readFileSync(SOURCE, 'utf8').split('\n');
    for (const [size, call] of Object.entries(CALLS)) {
      const [root] = samplesOf(Number(size), run().profile).map(({ stack }) => stack.at(-1)?.lines.at(-1));
      expect(root).toMatchObject({ name: 'main.worker', file: expect.stringMatching(/(^|\/)main\.go$/) });
      expect(source[(root?.line ?? 0) - 1]?.trim()).toBe(call);
    }
  });
}

describeGoVersions((version) => {
  describe.each(['plain', 'trimpath', 'pie'])('%s', (build) => {
    let run: Run;
    beforeAll(async () => {
      run = await runOf(version, build);
    }, BUILD_TIMEOUT);
    checkTotals(() => run);
    checkNames(() => run);
  });

  describe('stripped', () => {
    let plain: Run;
    let stripped: Run;
    beforeAll(async () => {
      plain = await runOf(version, 'plain');
      stripped = await runOf(version, 'stripped');
    }, BUILD_TIMEOUT);
    checkTotals(() => stripped);

    test('every chain is there, frame by frame as where C has names', () => {
      for (const { size } of stripped.expectations) {
        expect(samplesOf(size, stripped.whole).map(shape)).toEqual(samplesOf(size, plain.whole).map(shape));
      }
    });
  });
});
