/**
 * What symbolizing found out, kept between runs: one file per module, so that a second profile of the same program
 * needs no look at its (large) debug information.
 *
 * A cache may be deleted at any time, and never gets in the way: a file that is damaged, from another version or not
 * readable counts as empty, one that can't be written is not.
 *
 * File: a first line with the format's name and the SHA-256 of the rest, then JSON. The digest is what makes the rest
 * trusted: it proves that the file is whole and our own, in a folder that only its user can write.
 */
import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { SourceLine } from '../native-binding.js';
import type { ResolvedLocation } from './symbolize-segment.js';

/** To be raised whenever the symbolizer's answers or this file's format change. */
const FORMAT = 'cgoprof-symbols-1';

/** Bytes that all files together may take; the ones used longest ago go first. */
const MAX_CACHE_BYTES = 64 * 2 ** 20;

/** Bytes beyond which one module is not worth keeping. */
const MAX_FILE_BYTES = 16 * 2 ** 20;

/** Nothing else in the folder is ever touched, should it turn out to hold other things too. */
const OUR_FILES = /^[0-9a-f]{40}\.symbols(\.\d+\.tmp)?$/;

type Function = [name: string, systemName: string, file: string, startLine: number];
/** Address (hex), 1 where Go, then per line an index into functions and a line number. */
type Location = [address: string, isGo: number, ...lines: number[]];

interface Contents {
  readonly key: string;
  readonly functions: Function[];
  readonly locations: Location[];
}

/** Lines per ELF virtual address, inside the call. */
export type ModuleSymbols = ReadonlyMap<bigint, ResolvedLocation>;

/** Where symbols are kept, per module. The key tells a module from all others. */
export interface SymbolStore {
  /** What was stored under the key; empty when nothing (usable) was. */
  load(key: string): Promise<ModuleSymbols>;
  /** Replaces it. Never fails: what cannot be kept is not. */
  store(key: string, symbols: ModuleSymbols): Promise<void>;
  /** What was found out a short while ago, and may be known better later; of a store that keeps such things. */
  passing?(key: string): ModuleSymbols;
  keepInPassing?(key: string, symbols: ModuleSymbols): void;
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

function encode(key: string, symbols: ModuleSymbols): string {
  const functions: Function[] = [];
  const indexes = new Map<string, number>();
  const index = ({ name, systemName, file, startLine }: SourceLine): number => {
    const entry: Function = [name, systemName, file, startLine];
    const id = JSON.stringify(entry);
    const known = indexes.get(id) ?? functions.push(entry) - 1;
    indexes.set(id, known);
    return known;
  };
  const locations = Array.from(symbols, ([address, { lines, isGo }]): Location => {
    return [address.toString(16), isGo ? 1 : 0, ...lines.flatMap((line) => [index(line), line.line])];
  });
  const body = JSON.stringify({ key, functions, locations } satisfies Contents);
  return `${FORMAT} ${digest(body)}\n${body}`;
}

/** @returns undefined for anything that {@link encode} did not write, or wrote for another key. */
function decode(text: string, key: string): Map<bigint, ResolvedLocation> | undefined {
  const newline = text.indexOf('\n');
  const body = text.slice(newline + 1);
  if (text.slice(0, newline) !== `${FORMAT} ${digest(body)}`) return undefined;
  const contents = JSON.parse(body) as Contents;
  if (contents.key !== key) return undefined;
  const symbols = new Map<bigint, ResolvedLocation>();
  for (const [address, isGo, ...pairs] of contents.locations) {
    const lines: SourceLine[] = [];
    for (let i = 0; i + 1 < pairs.length; i += 2) {
      const [name, systemName, file, startLine] = contents.functions[pairs[i] ?? 0] ?? ['', '', '', 0];
      lines.push({ name, systemName, file, line: pairs[i + 1] ?? 0, startLine });
    }
    symbols.set(BigInt(`0x${address}`), { lines, isGo: isGo === 1 });
  }
  return symbols;
}

export class SymbolCache implements SymbolStore {
  /** @param dir Made on first use, for its owner alone. */
  constructor(
    private readonly dir: string,
    private readonly maxBytes = MAX_CACHE_BYTES,
  ) {}

  /** What was stored under the key; empty when nothing (usable) was. */
  async load(key: string): Promise<Map<bigint, ResolvedLocation>> {
    const path = this.#path(key);
    try {
      if ((await stat(path)).size > MAX_FILE_BYTES) return new Map();
      const symbols = decode(await readFile(path, 'utf8'), key);
      if (symbols !== undefined) await utimes(path, new Date(), new Date());
      return symbols ?? new Map();
    } catch {
      return new Map();
    }
  }

  /** Replaces what was stored under the key, then makes room. */
  async store(key: string, symbols: ModuleSymbols): Promise<void> {
    const path = this.#path(key);
    const temporary = `${path}.${process.pid}.tmp`;
    const text = encode(key, symbols);
    if (text.length > MAX_FILE_BYTES) return;
    try {
      await mkdir(this.dir, { recursive: true, mode: 0o700 });
      // 'wx': whatever lies there under this name, a link say, is not ours to write through.
      await writeFile(temporary, text, { flag: 'wx', mode: 0o600 });
      await rename(temporary, path);
      await this.#prune();
    } catch {
      await rm(temporary, { force: true }).catch(() => undefined);
    }
  }

  #path(key: string): string {
    return join(this.dir, `${digest(key).slice(0, 40)}.symbols`);
  }

  async #prune(): Promise<void> {
    const names = (await readdir(this.dir)).filter((name) => OUR_FILES.test(name));
    const paths = names.map((name) => join(this.dir, name));
    const files = await Promise.all(paths.map(async (path) => ({ path, ...(await stat(path)) })));
    files.sort((a, b) => b.mtimeMs - a.mtimeMs);
    let bytes = 0;
    for (const { path, size } of files) {
      bytes += size;
      if (bytes > this.maxBytes) await rm(path, { force: true });
    }
  }
}
