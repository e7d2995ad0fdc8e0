// Which Debian or Ubuntu packages the builds and tests need, and installing the ones that are missing.
import { existsSync } from 'node:fs';
import { findProgram, run, StepError, say, succeeds } from './process.mjs';

const header = (path) => () => existsSync(`/usr/include/${path}`);
const library = (name) => () =>
  existsSync(`/usr/lib/${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}-linux-gnu/${name}`);
const program = (name) => () => findProgram(name) !== '';

/**
 * package → how to see that what it gives is there. The thing itself is looked for, not dpkg's record of it: a compiler
 * or CMake from elsewhere is as good.
 */
const PACKAGES = {
  build: {
    'build-essential': () => findProgram('g++') !== '' && findProgram('make') !== '',
    cmake: program('cmake'),
    'ninja-build': program('ninja'),
    'pkg-config': program('pkg-config'),
    python3: program('python3'), // node-gyp is written in it
    'libdw-dev': header('elfutils/libdw.h'),
    'libelf-dev': header('libelf.h'),
    'libiberty-dev': header('libiberty/demangle.h'),
  },
  test: {
    'libgtest-dev': header('gtest/gtest.h'),
    'libgmock-dev': header('gmock/gmock.h'),
    'libbenchmark-dev': header('benchmark/benchmark.h'),
    binutils: program('objdump'),
    elfutils: program('eu-readelf'),
    strace: program('strace'),
    chromium: program('chromium'),
    'clang-format': program('clang-format'),
    'libtcmalloc-minimal4': library('libtcmalloc_minimal.so.4'),
    libjemalloc2: library('libjemalloc.so.2'),
    'libgoogle-perftools-dev': library('libtcmalloc.so'),
    'libmimalloc-dev': library('libmimalloc.so'),
    'librocksdb-dev': header('rocksdb/c.h'),
    'musl-tools': program('musl-gcc'),
    'golang-1.19-go': () => existsSync('/usr/lib/go-1.19/bin/go'),
  },
  fuzz: { clang: program('clang++') },
  stress: { 'stress-ng': program('stress-ng') },
  tidy: { 'clang-tidy': program('clang-tidy') },
  accuracy: { valgrind: program('valgrind'), heaptrack: program('heaptrack') },
  bench: {
    'libgoogle-perftools4': library('libtcmalloc.so.4'),
    'libtcmalloc-minimal4': library('libtcmalloc_minimal.so.4'),
    libjemalloc2: library('libjemalloc.so.2'),
  },
};

/** Packages that only some releases have. What needs them says so and is skipped by name. */
const NOT_EVERYWHERE = ['chromium', 'golang-1.19-go', 'libgoogle-perftools-dev', 'libmimalloc-dev'];

/**
 * Makes sure that the packages of the given groups are there. Installs them when run as root.
 *
 * @param {(keyof typeof PACKAGES)[]} groups
 * @throws {StepError} when some are missing and cannot be installed; the hint is the command that would
 */
export function ensurePackages(groups) {
  const missing = groups.flatMap((group) =>
    Object.entries(PACKAGES[group]).flatMap(([name, isThere]) => (isThere() ? [] : [name])),
  );
  const required = missing.filter((name) => !NOT_EVERYWHERE.includes(name));
  const mayInstall = findProgram('apt-get') !== '' && process.getuid?.() === 0;
  if (required.length > 0 && !mayInstall) {
    throw new StepError(`missing: ${required.join(' ')}`, `apt-get install ${required.join(' ')}`);
  }
  if (required.length > 0) run(['apt-get', 'update'], { quiet: true });
  const wanted = mayInstall ? [...required, ...missing.filter(isOffered)] : [];
  if (wanted.length === 0) return;
  say(`apt-get install ${wanted.join(' ')}`);
  const env = { DEBIAN_FRONTEND: 'noninteractive' };
  run(['apt-get', 'install', '--yes', '--no-install-recommends', ...wanted], { env, quiet: true });
}

function isOffered(name) {
  return NOT_EVERYWHERE.includes(name) && succeeds(['apt-cache', 'show', name]);
}
