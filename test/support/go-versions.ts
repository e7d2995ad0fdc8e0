/** The Go releases that tests build their targets with, and whether this machine can have them. */
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { describe, test } from 'vitest';
import { findGo } from '../../scripts/lib/go.mjs';

export interface GoVersion {
  readonly name: string;
  /** Path of the go command. */
  readonly go: string;
  /** GOTOOLCHAIN; '' for the command's own. */
  readonly toolchain: string;
  /** Why it cannot be had, one clause; '' when it can. */
  readonly missing: string;
}

/** Debian's package of the last release that knows no GOTOOLCHAIN and is still of use. */
const GO_1_19 = '/usr/lib/go-1.19/bin/go';

/** One of each kind of symbol table, stack switch and frame layout. The command's own release stands for 1.26. */
const TOOLCHAINS = ['go1.21.13', 'go1.23.12', 'go1.25.4', 'local', 'go1.27.0'];

function probe(go: string, toolchain: string): GoVersion {
  const env = toolchain === '' ? process.env : { ...process.env, GOTOOLCHAIN: toolchain };
  try {
    const answer = execFileSync(go, ['env', 'GOVERSION'], { env, encoding: 'utf8', stdio: 'pipe' });
    return { name: answer.trim(), go, toolchain, missing: '' };
  } catch (error) {
    const words = (error as { stderr?: string }).stderr ?? '';
    return { name: toolchain, go, toolchain, missing: words.trim().split('\n').at(-1) || String(error) };
  }
}

/** Asks for every release; the first time, that fetches the toolchains. */
function goVersions(): readonly GoVersion[] {
  const oldest = existsSync(GO_1_19)
    ? probe(GO_1_19, '')
    : { name: 'go1.19', go: GO_1_19, toolchain: '', missing: 'golang-1.19-go is not installed' };
  return [oldest, ...TOOLCHAINS.map((toolchain) => probe(findGo(), toolchain))];
}

/** Describes what holds for every release; one that cannot be had is a skipped test that says why. */
export function describeGoVersions(body: (version: GoVersion) => void): void {
  for (const version of goVersions()) {
    const { name, missing } = version;
    if (missing === '') {
      describe(name, () => body(version));
    } else {
      console.warn(`${name} is skipped, it cannot be had: ${missing}`);
      test(`${name}: skipped, it cannot be had: ${missing}`, ({ skip }) => skip(missing));
    }
  }
}
