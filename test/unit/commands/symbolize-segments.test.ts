import { afterEach, beforeEach, expect, it } from 'vitest';
import { symbolizeSegments } from '../../../src/commands/symbolize-segments.js';
import type { SymbolizeRequest } from '../../../src/native-binding.js';
import { FakeWorld } from '../../support/fake-world.js';
import { MAIN, symbolizedSegment } from '../../support/segment-fixture.js';

let world: FakeWorld;
beforeEach(() => {
  world = new FakeWorld();
});
afterEach(() => world.remove());

function segmentOf(path: string) {
  const modules = [{ ...MAIN, path, buildId: '' }];
  return symbolizedSegment({ modules, buckets: [{ stack: ['main.main@m.go:1'], allocs: 1, allocBytes: 97 }] }).segment;
}

it('looks for files in the root of a living process, and in ours after its death', async () => {
  const program = world.write('srv/app', '');
  world.process(10);
  const requests: SymbolizeRequest[] = [];
  const native = {
    ...world.native,
    symbolizeModule: (request: SymbolizeRequest) => {
      requests.push(request);
      return world.native.symbolizeModule(request);
    },
  };
  const made = segmentOf(program);
  const segment = { ...made, header: { ...made.header, createdUnixNs: BigInt(Date.now() + 60_000) * 1_000_000n } };
  await symbolizeSegments(world.context(), native, [
    { segment, livePid: 10 },
    { segment, livePid: undefined },
  ]);
  const root = `${world.procRoot}/10/root`;
  expect(requests.map(({ files, debugRoots }) => [files.includes(root + program), debugRoots])).toEqual([
    [true, [`${root}/usr/lib/debug`, '/usr/lib/debug']],
    [false, ['/usr/lib/debug']],
  ]);
  expect(world.err).toBe('');
});

it('warns once of each module, after the work', async () => {
  const segment = segmentOf('/nowhere/app');
  const symbolized = await symbolizeSegments(world.context(), world.native, [
    { segment, livePid: undefined },
    { segment, livePid: undefined },
  ]);
  expect(symbolized).toHaveLength(2);
  expect(world.err).toMatch(/^cgoprof: warning: \/nowhere\/app: [^\n]+\n$/);
});
