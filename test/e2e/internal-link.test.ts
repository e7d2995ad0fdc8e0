// Promise: a program that reaches C only through Go's standard library, and so was linked by Go's own linker and has no
// unwind tables for its C code, runs to its end, and its C memory stands below the Go lines that asked for it.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Workshop } from '../support/cgoprof.js';
import { checkedSamples, type PprofLine, type PprofSample } from '../support/go-pprof.js';
import { describeGoVersions } from '../support/go-versions.js';
import { buildTargetAside, ProfiledTarget } from '../support/profiled-target.js';
import { linesOf } from '../support/sites.js';

/** A release's first build compiles the standard library too. */
const BUILD_TIMEOUT = 600_000;

const SOURCE = readFileSync(fileURLToPath(new URL('../targets/internal-link/main.go', import.meta.url)), 'utf8');

const BUILDS = [
  ['plain', []],
  ['stripped', ['-ldflags=-s -w']],
] as const;

/** As often as the target looks each thing up. */
const LOOK_UPS = 41;

let shop: Workshop;
beforeAll(() => {
  shop = new Workshop();
});
afterAll(() => shop.remove());

/** Samples of what is called by a line of the program's own that has a text in it. */
function samplesUnder(call: string, samples: readonly PprofSample[]): PprofSample[] {
  const isCall = ({ name, line }: PprofLine) => name === 'main.main' && SOURCE.split('\n')[line - 1]?.includes(call);
  return samples.filter((sample) => linesOf(sample).some(isCall));
}

describeGoVersions((version) => {
  describe.each(BUILDS)('%s', (build, flags) => {
    const variant = `${version.name}-${build}`;
    let losses: object;
    let samples: readonly PprofSample[];
    beforeAll(async () => {
      const executable = await buildTargetAside('internal-link', { ...version, variant, flags });
      const env = { GODEBUG: 'netdns=cgo' };
      const target = await ProfiledTarget.start(shop, executable, `${variant}.pb.gz`, env);
      losses = target.process.losses;
      try {
        expect(await target.end()).toMatchObject({ code: 0, signal: null });
      } finally {
        target.destroy();
      }
      samples = checkedSamples(shop.path(`${variant}.pb.gz`));
    }, BUILD_TIMEOUT);

    test('no stack is cut short, and nothing is lost', () => {
      expect(losses).toEqual({});
      const roots = samples.map(({ stack }) => stack.at(-1)?.lines.at(-1)?.name ?? '');
      expect(roots.filter((root) => root.startsWith('['))).toEqual([]);
    });

    test('every stack leads to Go code', () => {
      const roots = samples.map(({ stack }) => stack.at(-1)?.lines.at(-1)?.name ?? '');
      expect(roots.filter((root) => !/^(runtime|net)\./.test(root))).toEqual([]);
    });

    test('what os/user allocates in C stands below the line that asked for it', () => {
      const found = samplesUnder('user.LookupGroupId', samples);
      const perLookUp = found.filter(({ values: [objects] }) => objects === LOOK_UPS);
      expect(perLookUp.length).toBeGreaterThan(0);
      const names = found.map((sample) => linesOf(sample).map(({ name }) => name));
      for (const stack of names) {
        expect(stack).toEqual(
          expect.arrayContaining([expect.stringMatching(/^os\/user\._C/), 'os/user.LookupGroupId']),
        );
        expect(stack.slice(-2)).toEqual(['main.main', 'runtime.main']);
      }
    });

    test('C functions between are named, and those that cgo made are hidden', () => {
      const c = samples.flatMap(linesOf).filter(({ file }) => !/\.(go|s)$/.test(file));
      expect(c.map(({ name }) => name).filter((name) => /^_cgo_\w+_C|\(\.text\)|^\[/.test(name))).toEqual([]);
    });
  });
});
