import { existsSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type HeapOptions, heap } from '../../../src/commands/heap.js';
import type { Segment } from '../../../src/native-binding.js';
import { FakeWorld, mapsLine } from '../../support/fake-world.js';
import { goProfile } from '../../support/go-profile-fixture.js';
import { serve } from '../../support/http-server.js';
import { readProfileFile } from '../../support/read-profile.js';
import { type SegmentTable, symbolizedSegment } from '../../support/segment-fixture.js';

let world: FakeWorld;
let output: string;
beforeEach(() => {
  world = new FakeWorld();
  output = world.path('merged.pb.gz');
});
afterEach(() => world.remove());

const TABLE: SegmentTable = {
  buckets: [{ stack: ['?'], allocs: 2, frees: 1, allocBytes: 194, freeBytes: 97 }],
  counters: { missedFrees: 3 },
};

/** A dead process's segment with one bucket of 97 bytes in use. */
function deadSegment(): string {
  const path = world.segment('10-1.seg');
  const { segment } = symbolizedSegment(TABLE);
  world.segments.set(path, { ...segment, header: { ...segment.header, pid: 10 } });
  return path;
}

const OPTIONS: HeapOptions = { gc: false, showPlumbing: false, json: false };
const run = (target: string, options: Partial<HeapOptions> = {}) =>
  heap(world.context(), target, { ...OPTIONS, output, ...options });
const written = () => readProfileFile(output);
const GO_BYTES = goProfile({ samples: [{ stack: ['main.grow@m.go:9'], values: [1, 1009, 1, 1009] }] }).encode();

describe('heap', () => {
  it('writes the C side of a dead process, and says what is lost and what could be added', async () => {
    deadSegment();
    expect(await run('10')).toEqual({ code: 0 });
    expect((await written()).samples).toMatchObject([{ values: [2, 194, 1, 97], labels: { allocator: 'c' } }]);
    expect(world.out).toBe('');
    expect(world.err.split('\n')).toEqual([
      expect.stringMatching(/^cgoprof: warning: \/srv\/app: /),
      expect.stringMatching(/^cgoprof: pid 10: .*free.*: 3$/),
      `cgoprof: wrote ${output}: 97 B in use by C, 0 B by Go; look at it: go tool pprof ${output}`,
      'cgoprof: only the C side; add --go http://HOST:PORT for the Go side',
      '',
    ]);
  });

  it('needs no hint when told --go none', async () => {
    const path = deadSegment();
    await run(path, { go: 'none' });
    expect(world.err).not.toContain('--go');
  });

  it('merges a Go profile from a file and says where it came from', async () => {
    const go = world.write('go.pb', GO_BYTES);
    await run(deadSegment(), { go });
    const { samples, comments } = await written();
    expect(samples.map(({ labels, values }) => [labels.allocator, values[3]]).sort()).toEqual([
      ['c', 97],
      ['go', 1009],
    ]);
    expect(comments).toContain(`cgoprof: Go heap profile from ${go}`);
  });

  it('takes the segment of a process that ended while its Go side was asked', async () => {
    const path = deadSegment();
    world.process(10, { start: 1, maps: mapsLine(path, statSync(path).ino) });
    const throughProc = join(world.procRoot, '10/root', path);
    world.segments.set(throughProc, world.segments.get(path) as Segment);
    const server = await serve((_, response) => {
      rmSync(join(world.procRoot, '10'), { recursive: true });
      world.segments.delete(throughProc);
      response.end(GO_BYTES);
    });
    try {
      expect(await run('10', { go: server.url })).toEqual({ code: 0 });
      expect((await written()).samples).toHaveLength(2);
    } finally {
      await server.close();
    }
  });

  it('refuses a merged profile for the Go side, whose C memory would count twice', async () => {
    const path = deadSegment();
    await run(path);
    const again = run(path, { go: output, output: world.path('again.pb.gz') });
    await expect(again).rejects.toThrow('is a merged profile: it holds C memory already');
    expect(existsSync(world.path('again.pb.gz'))).toBe(false);
  });

  it('says so when the Go profile is of another program', async () => {
    const other = goProfile({ samples: [{ stack: ['main.grow@m.go:9'], values: [1, 1009, 1, 1009] }] });
    const strings = other.stringTable;
    for (const mapping of other.mapping) mapping.buildId = strings.dedup('ffff');
    await run(deadSegment(), { go: world.write('go.pb', other.encode()) });
    expect(world.err).toContain('cgoprof: warning: the Go profile is of another program or build (');
    expect((await written()).samples).toHaveLength(2);
  });

  it('asks a service, with a collection first if wished', async () => {
    const server = await serve((_, response) => response.end(GO_BYTES));
    try {
      await run(deadSegment(), { go: server.url, gc: true });
      expect(server.requests).toEqual(['/debug/pprof/heap?gc=1']);
      expect((await written()).samples).toHaveLength(2);
    } finally {
      await server.close();
    }
  });

  it('writes nothing when the Go side fails', async () => {
    const go = world.write('go.pb', '<html>');
    await expect(run(deadSegment(), { go })).rejects.toMatchObject({ message: `${go}: an HTML page, not a profile` });
    expect(existsSync(output)).toBe(false);
  });

  it('needs a service for --gc', async () => {
    await expect(run(deadSegment(), { gc: true })).rejects.toMatchObject({ exitCode: 2 });
    await expect(run(deadSegment(), { gc: true, go: 'none' })).rejects.toMatchObject({ exitCode: 2 });
  });

  it('looks at the output before it works', async () => {
    const nowhere = world.path('nowhere/x');
    await expect(run(deadSegment(), { output: nowhere })).rejects.toThrow('cannot be written');
    await expect(
      heap(world.context({ stdoutIsTerminal: true }), deadSegment(), { ...OPTIONS, output: '-' }),
    ).rejects.toMatchObject({ exitCode: 2 });
  });

  describe('--json', () => {
    const json = (options: Partial<HeapOptions> = {}) =>
      heap(world.context(), deadSegment(), { ...OPTIONS, json: true, ...options });

    it('prints estimates, and writes no profile', async () => {
      const directory = process.cwd();
      process.chdir(world.root);
      try {
        expect(await json()).toEqual({ code: 0 });
      } finally {
        process.chdir(directory);
      }
      expect(existsSync(world.path('cgoprof.10.heap.pb.gz'))).toBe(false);
      const { pid, sampling, losses, sites } = JSON.parse(world.out);
      expect({ pid, sampling, losses }).toEqual({
        pid: 10,
        sampling: { c: { rate: 1, unlistedBytes: 0 } },
        losses: { missedFrees: 3 },
      });
      const exact = { estimate: 97, standardError: 0, low: 97, high: 97 };
      expect(sites).toMatchObject([{ allocator: 'c', inUse: { bytes: exact } }]);
    });

    it('writes the profile too where a file is named', async () => {
      await json({ output });
      expect(JSON.parse(world.out).sites).toHaveLength(1);
      expect((await written()).samples).toHaveLength(1);
    });

    it('has the Go side’s sites beside the others', async () => {
      await json({ go: world.write('go.pb', GO_BYTES) });
      const { sampling, sites } = JSON.parse(world.out);
      expect(sampling.go.rate).toBeGreaterThan(0);
      expect(sites.map((site: { allocator: string }) => site.allocator)).toEqual(['go', 'c']);
    });

    it('cannot share standard output with the profile', async () => {
      await expect(json({ output: '-' })).rejects.toMatchObject({ exitCode: 2 });
      expect(world.out).toBe('');
    });
  });

  it('names the file after the pid by default', async () => {
    const directory = process.cwd();
    process.chdir(world.root);
    try {
      await heap(world.context(), deadSegment(), OPTIONS);
    } finally {
      process.chdir(directory);
    }
    expect(existsSync(world.path('cgoprof.10.heap.pb.gz'))).toBe(true);
    expect(world.err).toContain('wrote cgoprof.10.heap.pb.gz:');
  });
});
