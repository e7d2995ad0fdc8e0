/**
 * Go addresses get the names, files, lines and inlining that Go's own heap profile gives them, in binaries of every Go
 * release and however they were linked. The oracle is the profile that the program's runtime writes of itself.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { Profile } from 'pprof-format';
import { afterAll, expect, test } from 'vitest';
import { buildTarget } from '../../scripts/build-targets.mjs';
import { native, type SourceLine } from '../../src/native-binding.js';
import { describeGoVersions, type GoVersion } from '../support/go-versions.js';

/** A release's first build in one of these ways compiles the standard library too. */
const BUILD_TIMEOUT = 600_000;

const INTERNAL = '-ldflags=-linkmode=internal';
const NO_C = '-tags=nocgo';
const BY_DWARF = ['c_inlined c.go:13', 'c_outer c.go:17'];
/** Go's internal linker leaves C code's DWARF out, and lists C functions in its own table. */
const BY_NAME = ['c_outer :0'];

/** cLines: what is known of the address in C; undefined where there is no C, [] where it lost its name. */
const BUILDS: readonly { variant: string; flags: string[]; cLines?: string[] }[] = [
  { variant: 'plain', flags: [], cLines: BY_DWARF },
  { variant: 'stripped', flags: ['-ldflags=-s -w'], cLines: [] },
  { variant: 'trimpath', flags: ['-trimpath'], cLines: BY_DWARF },
  { variant: 'pie', flags: ['-buildmode=pie'], cLines: BY_DWARF },
  { variant: 'internal', flags: [INTERNAL], cLines: BY_NAME },
  { variant: 'no-c-stripped', flags: [NO_C, '-ldflags=-s -w'] },
  { variant: 'no-c-pie', flags: [NO_C, '-buildmode=pie'] },
];

interface Location {
  readonly address: bigint;
  readonly lines: readonly SourceLine[];
}

interface Run {
  /** The program's own locations, by ELF virtual address, as its runtime describes them. */
  readonly locations: readonly Location[];
  /** ELF virtual address of the call in c_inlined; undefined without C. */
  readonly cAddress: bigint | undefined;
}

const folder = mkdtempSync(join(tmpdir(), 'cgoprof-pclntab-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Run-time address - ELF virtual address, from where the segment that starts at a file offset was mapped. */
function biasOf(executable: string, start: bigint, fileOffset: bigint): bigint {
  const PT_LOAD = 1;
  const PAGE = 4096n;
  const elf = readFileSync(executable);
  const headers = Number(elf.readBigUInt64LE(32));
  for (let i = 0; i < elf.readUInt16LE(56); i++) {
    const header = headers + i * elf.readUInt16LE(54);
    const offset = elf.readBigUInt64LE(header + 8);
    const address = elf.readBigUInt64LE(header + 16);
    if (elf.readUInt32LE(header) === PT_LOAD && offset / PAGE === fileOffset / PAGE) {
      return start - (address / PAGE) * PAGE;
    }
  }
  throw new Error(`${executable} has no segment at ${fileOffset}`);
}

function linesOf(profile: Profile, location: Profile['location'][number]): SourceLine[] {
  const text = (index: number | bigint) => profile.stringTable.strings[Number(index)] ?? '';
  return location.line.map(({ functionId, line }) => {
    const fn = profile.function.find(({ id }) => id === functionId);
    if (fn === undefined) throw new Error(`the profile has no function ${functionId}`);
    return {
      name: text(fn.name),
      systemName: text(fn.systemName),
      file: text(fn.filename),
      line: Number(line),
      startLine: Number(fn.startLine),
    };
  });
}

function runProgram(executable: string): Run {
  const output = join(folder, 'heap.pb.gz');
  const printed = execFileSync(executable, [output], { encoding: 'utf8' });
  const profile = Profile.decode(gunzipSync(readFileSync(output)));
  const mapping = profile.mapping.find(({ filename }) => profile.stringTable.strings[Number(filename)] === executable);
  if (mapping === undefined) throw new Error(`the profile has no mapping of ${executable}`);
  const bias = biasOf(executable, BigInt(mapping.memoryStart), BigInt(mapping.fileOffset));
  const own = profile.location.filter(({ mappingId }) => mappingId === mapping.id);
  const cAddress = /^c (0x[0-9a-f]+)$/m.exec(printed)?.[1];
  return {
    locations: own.map((location) => ({
      address: BigInt(location.address) - bias,
      lines: linesOf(profile, location),
    })),
    cAddress: cAddress === undefined ? undefined : BigInt(cAddress) - bias,
  };
}

function symbolize(executable: string, addresses: readonly bigint[]) {
  const request = { files: [executable], buildId: '', addresses: BigUint64Array.from(addresses), debugRoots: [] };
  return native.symbolizeModule(request);
}

async function expectTheRuntimesWords(executable: string, locations: readonly Location[]): Promise<void> {
  const result = await symbolize(
    executable,
    locations.map(({ address }) => address),
  );
  expect(result.warning).toBe('');
  expect(result.isGo.every((isGo) => isGo === 1)).toBe(true);
  const found = locations.map(({ address }, i) => ({ address, lines: result.lines[i] }));
  expect(found).toEqual(locations);
}

async function expectCLines(executable: string, address: bigint, expected: readonly string[]): Promise<void> {
  const result = await symbolize(executable, [address]);
  expect([...result.isGo]).toEqual([0]);
  const lines = result.lines[0]?.map(({ name, file, line }) => `${name} ${file.split('/').at(-1)}:${line}`);
  expect(lines).toEqual(expected);
  const problem = '1 of 1 addresses have no symbol: it has no debug information';
  expect(result.warning).toBe(expected.length > 0 ? '' : problem);
}

/** ELF virtual addresses where functions that the compiler made begin: Go's own profiles have no frames of them. */
function wrapperEntries({ go, toolchain }: GoVersion, executable: string): bigint[] {
  const env = toolchain === '' ? process.env : { ...process.env, GOTOOLCHAIN: toolchain };
  const symbols = execFileSync(go, ['tool', 'nm', executable], { env, encoding: 'utf8', maxBuffer: 64 << 20 });
  const wrappers = symbols.matchAll(/^ *([0-9a-f]+) t (main\.\(\*circle\)\.grow|main\..*-fm|main\..*\.gowrap\d+)$/gm);
  return Array.from(wrappers, ([, address]) => BigInt(`0x${address}`));
}

describeGoVersions((version) => {
  test.each(BUILDS)('$variant', { timeout: BUILD_TIMEOUT }, async ({ variant, flags, cLines }) => {
    const { go, toolchain, name } = version;
    const executable = buildTarget('pclntab', { variant: `${name}-${variant}`, go, toolchain, flags });
    const { locations, cAddress } = runProgram(executable);

    // What the program is there for is in its profile.
    const names = locations.flatMap(({ lines }) => lines.map((line) => line.name));
    const generic = name.startsWith('go1.19') ? 'main.generic[...]' : 'main.generic[go.shape.string]';
    expect(names).toEqual(expect.arrayContaining(['main.leaf', 'main.inline1', 'main.inline2', generic]));
    expect(locations.some(({ lines }) => lines.length > 2)).toBe(true);

    await expectTheRuntimesWords(executable, locations);
    expect(cAddress !== undefined).toBe(cLines !== undefined);
    if (cAddress !== undefined) await expectCLines(executable, cAddress, cLines ?? []);
  });

  test('leaves wrappers out', { timeout: BUILD_TIMEOUT }, async () => {
    const { go, toolchain, name } = version;
    const executable = buildTarget('pclntab', { variant: `${name}-plain`, go, toolchain });
    const entries = wrapperEntries(version, executable);
    expect(entries.length).toBeGreaterThanOrEqual(2);
    const result = await symbolize(executable, entries);
    expect(result.lines).toEqual(entries.map(() => []));
    expect([...result.isGo]).toEqual(entries.map(() => 1));
    expect(result.warning).toBe('');
  });
});
