// The profilers that are compared, and the bare program: how each is put under or around a program.
import { readdirSync, rmSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { ROOT, StepError } from './process.mjs';

const LIBRARIES = `/usr/lib/${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}-linux-gnu`;
const JEMALLOC = join(LIBRARIES, 'libjemalloc.so.2');
const TCMALLOC = join(LIBRARIES, 'libtcmalloc.so.4');
const TCMALLOC_WITHOUT_PROFILERS = join(LIBRARIES, 'libtcmalloc_minimal.so.4');
const HEAPTRACK = '/usr/lib/heaptrack/libheaptrack_preload.so';

/** Go under valgrind: signals that preempt goroutines upset callgrind, and one thread makes counts repeat. */
const GO_ENVIRONMENT = { GODEBUG: 'asyncpreemptoff=1', GOMAXPROCS: '1' };

const preloaded = (library, env = {}) => ({ env: () => ({ ...env, LD_PRELOAD: library }), wrap: (command) => command });
const wrapped = (...wrapper) => ({ env: () => ({}), wrap: (command) => [...wrapper, ...command] });

/**
 * @typedef {{ env: (program: string) => Record<string, string>, wrap: (command: string[]) => string[],
 *   records?: boolean }} Tool records: it must leave a segment
 * @param {{ library: string, segments: string, scratch: string }} places libcgoprof.so, the folder of its segments, and
 *   one for what other tools write
 */
export function makeTools({ library, segments, scratch }) {
  const cgoprof = (settings, records = true) => ({
    records,
    env: (program) => ({
      LD_PRELOAD: library,
      CGOPROF_PROFILE: basename(program), // not valgrind, not the shell that starts heaptrack
      CGOPROF_DIR: segments,
      CGOPROF_KEEP: '1',
      ...settings,
    }),
    wrap: (command) => command,
  });
  return {
    bare: wrapped(),
    off: cgoprof({ CGOPROF_PROFILE: 'nobody' }, false),
    cgoprof: cgoprof({}),
    unsampled: cgoprof({ CGOPROF_RATE: String(2 ** 40) }),
    exact: cgoprof({ CGOPROF_RATE: '1' }),
    jemalloc: preloaded(JEMALLOC),
    jemallocProf: preloaded(JEMALLOC, { MALLOC_CONF: 'prof:true,lg_prof_sample:19' }),
    jemallocExact: preloaded(JEMALLOC, { MALLOC_CONF: 'prof:true,lg_prof_sample:0' }),
    tcmallocMinimal: preloaded(TCMALLOC_WITHOUT_PROFILERS),
    tcmalloc: preloaded(TCMALLOC),
    tcmallocSampling: preloaded(TCMALLOC, { TCMALLOC_SAMPLE_PARAMETER: '524288' }),
    heapprofile: preloaded(TCMALLOC, { HEAPPROFILE: join(scratch, 'heapprofile') }),
    heaptrack: wrapped('heaptrack', '-o', join(scratch, 'heaptrack')),
    heaptrackAlone: preloaded(HEAPTRACK, { DUMP_HEAPTRACK_OUTPUT: '/dev/null' }),
    memcheck: wrapped('valgrind', '-q', '--leak-check=no'),
    massif: wrapped('valgrind', '-q', '--tool=massif', `--massif-out-file=${join(scratch, 'massif')}`),
  };
}

/** The environment of a program under a tool. */
export function environmentOf(tool, program) {
  return { ...GO_ENVIRONMENT, ...tool.env(program) };
}

/**
 * The segment that one run left, read and removed; undefined when it left none (cgoprof was not in it).
 *
 * @typedef {{ samples: number, frames: number, live: number, memory: number }} Left
 *   frames: of the stacks of all samples, together; memory: bytes
 * @returns {Promise<Left | undefined>}
 * @throws {StepError} when there are several: something else was profiled too; or when samples were lost
 */
export async function takeSegment(segments) {
  const files = readdirSync(segments).filter((name) => name.endsWith('.seg'));
  if (files.length === 0) return undefined;
  if (files.length > 1) throw new StepError(`one run left ${files.length} segments`);
  const { native } = await import(join(ROOT, 'dist/native-binding.js')); // not at the top: set-up builds it
  const path = join(segments, files[0]);
  const { header, buckets } = native.readSegment(path);
  const memory = statSync(path).blocks * 512;
  rmSync(path);
  const frames = buckets.reduce((sum, { allocs, frames }) => sum + allocs * frames.length, 0);
  const { truncatedStacks, goBoundaryFailed, ...losses } = header.counters; // the first two are no losses of samples
  if (Object.values(losses).some((count) => count > 0)) throw new StepError(`lost: ${JSON.stringify(losses)}`);
  return { samples: header.samples, frames, live: header.liveSamples, memory };
}

/** Whether Debian's jemalloc has its profiler: it says on stderr that it knows no such setting if not. */
export function jemallocProfiles(stderr) {
  return !stderr.includes('Invalid conf');
}
