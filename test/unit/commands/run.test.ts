import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { Profile } from 'pprof-format';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type RunOptions, run } from '../../../src/commands/run.js';
import type { Segment } from '../../../src/native-binding.js';
import { codedError, FakeWorld, GO_PROGRAM, mapsLine } from '../../support/fake-world.js';
import { goProfile } from '../../support/go-profile-fixture.js';
import { serve } from '../../support/http-server.js';
import { readProfile } from '../../support/read-profile.js';
import { symbolizedSegment } from '../../support/segment-fixture.js';

let world: FakeWorld;
let output: string;
let segmentDirectory: string;
beforeEach(() => {
  world = new FakeWorld();
  output = world.path('merged.pb.gz');
  segmentDirectory = world.path(`shm/cgoprof-${process.getuid?.()}`);
  mkdirSync(segmentDirectory);
  preloadable(world.libraryPath);
  world.executables.set('/bin/sh', { ...GO_PROGRAM, isGo: false });
  world.readUnknown = segmentOfProcess;
});
afterEach(() => world.remove());

/** The loader really preloads it: libc is a library that every process has anyway. */
function preloadable(path: string): void {
  const libc = /(\/\S+\/libc\.so\.6)$/m.exec(readFileSync('/proc/self/maps', 'utf8'))?.[1] ?? '';
  rmSync(path);
  symlinkSync(libc, path);
}

/** What a script below left: 97 bytes in use, and the state that stands behind the run id. */
function segmentOfProcess(path: string): Segment {
  const [, runId = '', state] = readFileSync(path, 'latin1').split('|');
  if (state === 'damaged') throw codedError('SEGMENT_DAMAGED', 'cut');
  const bucket = { stack: ['lib:?'], allocs: 1, allocBytes: 97 };
  const header = {
    runId,
    pid: Number(basename(path).split('-')[0]),
    state: state === 'exited' ? state : 'running',
  } as const;
  return symbolizedSegment({ buckets: [bucket], header }).segment;
}

const SEGMENT = (state = '') => `printf "CGOPROF|$CGOPROF_RUN_ID|${state}" >$SEGMENTS/$$-1.seg`;
const OPTIONS: RunOptions = { rate: 524288, goInterval: 100, follow: false, showPlumbing: false };

/** Runs a shell script as the command. It finds the environment of this test beside what `run` gives it. */
function sh(script: string, options: Partial<RunOptions> = {}, env: Record<string, string> = {}) {
  const given = {
    PATH: '/bin',
    SEGMENTS: segmentDirectory,
    DIR: world.root,
    XDG_CACHE_HOME: world.path('cache'),
    ...env,
  };
  return run(world.context({ env: given }), ['sh', '-c', script], { ...OPTIONS, ...options });
}

const written = async () => readProfile(Profile.decode(gunzipSync(await readFile(output))));
const segmentsLeft = (): string[] => readdirSync(segmentDirectory);
const GO_BYTES = goProfile({ samples: [{ stack: ['main.grow@m.go:9'], values: [1, 1009, 1, 1009] }] }).encode();

describe('run without -o', () => {
  it('gives the command its environment and ends as it ends, in silence', async () => {
    const script = 'env >$DIR/env; exit 5';
    expect(await sh(script, { rate: 1, follow: true })).toEqual({ code: 5 });
    const env = readFileSync(world.path('env'), 'utf8').split('\n');
    expect(env).toEqual(
      expect.arrayContaining([
        `LD_PRELOAD=${world.libraryPath}`,
        'CGOPROF_RATE=1',
        'CGOPROF_PROFILE=go',
        'CGOPROF_FOLLOW=1',
        expect.stringMatching(/^CGOPROF_RUN_ID=[0-9a-f]+$/),
      ]),
    );
    expect(env).not.toContainEqual(expect.stringContaining('CGOPROF_KEEP'));
    expect([world.out, world.err]).toEqual(['', '']);
  });

  it('removes what a normal end left behind', async () => {
    expect(await sh(SEGMENT())).toEqual({ code: 0 });
    expect([segmentsLeft(), world.err]).toEqual([[], '']);
  });

  it('keeps evidence of any other end, and says how to look at it', async () => {
    expect(await sh(`${SEGMENT()}; kill -KILL $$`)).toEqual({ signal: 'SIGKILL' });
    const [name] = segmentsLeft();
    const path = `${segmentDirectory}/${name}`;
    expect(world.err).toBe(
      `cgoprof: run: sh was killed by SIGKILL; the segment of pid ${name?.split('-')[0]} is kept: cgoprof heap ${path} -o FILE\n`,
    );
  });

  it('keeps everything for who asks for it', async () => {
    await sh(SEGMENT(), {}, { CGOPROF_KEEP: '1' });
    expect(segmentsLeft()).toHaveLength(1);
    expect(world.err).toMatch(/run: sh exited with status 0; the segment of pid \d+ is kept/);
  });

  it('does not touch what other runs left', async () => {
    world.segment('99999999-1.seg', { runId: 'abc' });
    await sh(SEGMENT());
    expect(segmentsLeft()).toEqual(['99999999-1.seg']);
  });
});

describe('run -o', () => {
  it('writes the profile of all processes of the command', async () => {
    expect(await sh(`${SEGMENT()}; sh -c '${SEGMENT()}'; :`, { output })).toEqual({ code: 0 });
    expect((await written()).samples.map(({ values }) => values)).toEqual([[2, 194, 2, 194]]);
    expect(world.err).toContain(`cgoprof: wrote ${output}: 194 B in use by C`);
    expect(segmentsLeft()).toEqual([]);
  });

  it.each([
    ['exit 3', { code: 3 }],
    ['kill -TERM $$', { signal: 'SIGTERM' }],
    ['kill -KILL $$', { signal: 'SIGKILL' }],
  ])('writes it also after `%s`', async (end, ending) => {
    expect(await sh(`${SEGMENT()}; ${end}`, { output })).toEqual(ending);
    expect((await written()).samples).toHaveLength(1);
  });

  it('has segments kept until it has read them', async () => {
    await sh(`echo $CGOPROF_KEEP >$DIR/keep; ${SEGMENT('exited')}; exit 1`, { output });
    expect(readFileSync(world.path('keep'), 'utf8')).toBe('1\n');
    expect(segmentsLeft()).toEqual([]);
  });

  it('takes a process that still runs as it is', async () => {
    world.process(process.pid, { start: 1 });
    const script = `printf "CGOPROF|$CGOPROF_RUN_ID|" >$SEGMENTS/${process.pid}-1.seg`;
    await sh(script, { output });
    expect(world.err).toContain(`cgoprof: pid ${process.pid} (/srv/app) still runs; it is taken as it is now\n`);
    expect(segmentsLeft()).toHaveLength(1);
  });

  it.each([
    ['go', undefined, 'no Go program among its processes'],
    ['NAME', 'worker', 'no process worker'],
    ['all', 'all', 'no process of it'],
  ])('fails when nothing was profiled, with --profile %s', async (_, profile, why) => {
    expect(await sh('exit 0', { output, profile })).toEqual({ code: 1 });
    expect(world.err).toContain(`cgoprof: run: sh: nothing was profiled: ${why} left a segment\n`);
    expect(existsSync(output)).toBe(false);
  });

  it('keeps the command’s own failure', async () => {
    expect(await sh('exit 4', { output })).toEqual({ code: 4 });
    expect(await sh('kill -INT $$', { output })).toEqual({ signal: 'SIGINT' });
    expect(world.err).toContain('nothing was profiled');
  });

  it('loses nothing when the profile cannot be written after all', async () => {
    const directory = world.path('gone');
    mkdirSync(directory);
    expect(await sh(`${SEGMENT()}; rmdir $DIR/gone`, { output: `${directory}/x.pb.gz` })).toEqual({ code: 1 });
    expect(world.err).toContain(`cgoprof: ${directory}/x.pb.gz: no such file or directory\n`);
    expect(segmentsLeft()).toHaveLength(1);
    expect(world.err).toMatch(/the segment of pid \d+ is kept/);
  });

  it('says what of it cannot be read, and uses the rest', async () => {
    world.readUnknown = (path) => segmentOfProcess(path);
    const { native } = world;
    const read = native.readSegment.bind(native);
    const failing = (path: string) => {
      if (readFileSync(path, 'latin1').endsWith('half')) throw codedError('SEGMENT_DAMAGED', 'cut');
      return read(path);
    };
    const context = { ...native, readSegment: failing };
    const env = { PATH: '/bin', SEGMENTS: segmentDirectory, XDG_CACHE_HOME: world.path('cache') };
    const script = `${SEGMENT()}; sh -c '${SEGMENT('half')}'; :`;
    const ending = await run(world.context({ env, loadNative: async () => context }), ['sh', '-c', script], {
      ...OPTIONS,
      output,
    });
    expect(ending).toEqual({ code: 0 });
    expect(world.err).toContain('a damaged segment (cut)');
    expect((await written()).samples).toHaveLength(1);
  });

  it('fails when none of it can be read', async () => {
    const native = {
      ...world.native,
      readSegment: () => {
        throw codedError('SEGMENT_DAMAGED', 'cut');
      },
    };
    const env = { PATH: '/bin', SEGMENTS: segmentDirectory };
    const context = world.context({ env, loadNative: async () => native });
    expect(await run(context, ['sh', '-c', SEGMENT()], { ...OPTIONS, output })).toEqual({ code: 1 });
    expect(world.err).toContain('run: sh: no segment of it could be read');
  });
});

describe('run names the processes that it could not profile', () => {
  const OURS = 'for process in $DIR/proc/7?; do printf "CGOPROF_RUN_ID=$CGOPROF_RUN_ID\\0" >$process/environ; done';
  const failed = (pid: number, word: string): void =>
    world.process(pid, { maps: mapsLine(`/memfd:cgoprof-failed-${word} (deleted)`, pid) });

  it('once for each reason, a few by their pids', async () => {
    for (let pid = 70; pid < 80; pid++) failed(pid, pid === 75 ? 'file' : 'no-room');
    expect(await sh(`${OURS}; ${SEGMENT()}`, { output })).toEqual({ code: 0 });
    const said = world.err.split('\n').filter((line) => line.includes('not profiled'));
    expect(said.sort()).toEqual([
      expect.stringMatching(/^cgoprof: pid 7\d(, 7\d){7} and 1 more: not profiled: .* there was no room for it$/),
      'cgoprof: pid 75: not profiled: it could not make a segment: its file could not be made',
    ]);
  });

  it('and takes that for the reason if there is nothing else', async () => {
    failed(70, 'no-room');
    expect(await sh(OURS, { output })).toEqual({ code: 1 });
    expect(world.err.split('\n').slice(1)).toEqual([
      'cgoprof: run: sh: nothing was profiled, for the reason above',
      expect.stringContaining('df -h /dev/shm'),
      '',
    ]);
  });
});

describe('run -o counts the processes that are missing', () => {
  const missing = (count: number) =>
    `processes that are missing, because their segments were removed: at least ${count}`;

  it('as the segments that are left tell', async () => {
    world.readUnknown = (path) => {
      const segment = segmentOfProcess(path);
      const counters = { ...segment.header.counters, prunedSegments: 3 };
      return { ...segment, header: { ...segment.header, counters } };
    };
    await sh(`${SEGMENT()}; sh -c '${SEGMENT()}'; :`, { output });
    expect(world.err).toContain(`cgoprof: ${missing(6)}\n`);
    expect((await written()).comments).toContain(`cgoprof: ${missing(6)}`);
  });

  it('and those that it has seen itself', async () => {
    const script = `${SEGMENT()}; sh -c '${SEGMENT()}; echo $SEGMENTS/$$-1.seg >$DIR/other'; read other <$DIR/other`;
    const seen = [];
    world.readUnknown = (path) => {
      seen.push(path);
      if (seen.length === 2) world.write('seen', '');
      return segmentOfProcess(path);
    };
    await sh(`${script}; until test -e $DIR/seen; do sleep 0.01; done; rm $other`, { output });
    expect(world.err).toContain(`cgoprof: ${missing(1)}\n`);
  });
});

describe('run --go', () => {
  it('keeps the last good profile of the service, and tells its age', async () => {
    let asked = 0;
    const server = await serve((_, response) => {
      asked += 1;
      if (asked === 1) response.end(GO_BYTES);
      else response.writeHead(500).end();
      if (asked === 2) world.write('asked-twice', '');
    });
    try {
      const script = `${SEGMENT()}; until test -e $DIR/asked-twice; do sleep 0.01; done`;
      expect(await sh(script, { output, go: server.url })).toEqual({ code: 0 });
    } finally {
      await server.close();
    }
    const { samples, comments } = await written();
    expect(samples.map(({ labels }) => labels.allocator).sort()).toEqual(['c', 'go']);
    const said = /Go heap profile http:\S+\/debug\/pprof\/heap: taken \d\S* m?s before the command ended/;
    expect(comments).toContainEqual(expect.stringMatching(said));
    expect(world.err).toMatch(said);
  });

  it('says why there is none, and writes the C side', async () => {
    const server = await serve((_, response) => {
      response.writeHead(404).end();
      world.write('asked', '');
    });
    try {
      const script = `${SEGMENT()}; until test -e $DIR/asked; do sleep 0.01; done; sleep 0.1`;
      expect(await sh(script, { output, go: server.url })).toEqual({ code: 0 });
    } finally {
      await server.close();
    }
    expect(world.err).toMatch(/without the Go side[^\n]*\ncgoprof: Go heap profile http.*404 Not Found\n.*net\/http/);
    expect((await written()).samples).toHaveLength(1);
  });

  it('says so when the command ended before there was an answer', async () => {
    const server = await serve(() => {
      world.write('asked', '');
    });
    try {
      const script = `${SEGMENT()}; until test -e $DIR/asked; do sleep 0.01; done`;
      expect(await sh(script, { output, go: server.url })).toEqual({ code: 0 });
    } finally {
      await server.close();
    }
    const said = `without the Go side, which was never fetched:\ncgoprof: Go heap profile ${server.url}/debug/pprof/heap: `;
    expect(world.err).toContain(`${said}the command ended before it had answered\n`);
    expect((await written()).samples).toHaveLength(1);
  });

  it('reads a file that the command wrote', async () => {
    world.write('made.pb', GO_BYTES);
    await sh(`${SEGMENT()}; mv $DIR/made.pb $DIR/go.pb`, { output, go: world.path('go.pb') });
    expect((await written()).samples).toHaveLength(2);
  });

  it('says what is wrong with a file', async () => {
    expect(await sh(SEGMENT(), { output, go: world.path('go.pb') })).toEqual({ code: 0 });
    expect(world.err).toMatch(/without the Go side.*\ncgoprof: Go heap profile \S+go.pb: no such file/);
  });

  it('writes the Go side alone when nothing of C was profiled, and fails', async () => {
    const go = world.write('go.pb', GO_BYTES);
    expect(await sh('exit 0', { output, go })).toEqual({ code: 1 });
    expect((await written()).samples).toMatchObject([{ labels: { allocator: 'go' } }]);
    expect(world.err).toContain('nothing was profiled');
  });
});

describe('run refuses before it starts anything', () => {
  it.each<[string, Partial<RunOptions>, number]>([
    ['--go without -o', { go: 'http://127.0.0.1:1' }, 2],
    ['-o -', { output: '-' }, 2],
    ['an output in no directory', { output: '/nowhere/at/all' }, 1],
  ])('%s', async (_, options, exitCode) => {
    await expect(sh(': >$DIR/started', options)).rejects.toMatchObject({ exitCode });
    expect(existsSync(world.path('started'))).toBe(false);
  });

  it('--go none is no reason', async () => {
    expect(await sh('exit 0', { go: 'none' })).toEqual({ code: 0 });
  });

  it('a command that is not there', async () => {
    const context = world.context({ env: { PATH: '/nowhere' } });
    await expect(run(context, ['server'], OPTIONS)).rejects.toThrow('run: server: no such command in PATH');
    await expect(run(context, [], OPTIONS)).rejects.toThrow('no such command');
  });
});
