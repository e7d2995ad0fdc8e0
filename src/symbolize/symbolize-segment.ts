/** Finds names, files and lines for every frame of a segment, module by module. */
import type { NativeBinding, Segment, SegmentModule, SourceLine, SymbolizeResult } from '../native-binding.js';
import { findModuleFiles, type ModuleFiles } from './module-files.js';
import type { SymbolStore } from './symbol-cache.js';

export interface SymbolizeOptions {
  /** Prefix under which the target's files are found, e.g. '/proc/123/root'; '' for our own view. */
  readonly root: string;
  /** Live pid whose /proc/PID/exe and map_files may serve deleted files; undefined when dead. */
  readonly pid?: number | undefined;
  /** The target's root is, or was, not ours: see ModuleFileOptions. */
  readonly elsewhere?: boolean | undefined;
  /** Where separate debug files lie, e.g. /usr/lib/debug; each is looked for under `root` first. */
  readonly debugRoots: readonly string[];
  /** Where results are kept for the next time; undefined: nowhere. */
  readonly cache?: SymbolStore | undefined;
  /** Called before each module, and at the end, with counts of addresses. */
  readonly onProgress?: (done: number, total: number, module: string) => void;
  /** Takes one clause per module that can't be symbolized: `path: reason`. */
  readonly warn: (message: string) => void;
}

/** What is known of one address. */
export interface ResolvedLocation {
  /** Innermost inlined function first; empty when nothing is known. */
  readonly lines: readonly SourceLine[];
  /** The address lies in Go code. */
  readonly isGo: boolean;
}

export interface SymbolizedSegment {
  readonly segment: Segment;
  /** Module id → return address (as in SegmentBucket.frames) → what is known. Unknown modules have no entry. */
  readonly locations: ReadonlyMap<number, ReadonlyMap<bigint, ResolvedLocation>>;
}

export type Symbolizer = Pick<NativeBinding, 'symbolizeModule'>;

/** Return addresses per module id, each once. */
function collectAddresses(segment: Segment): Map<number, Set<bigint>> {
  const perModule = new Map(segment.modules.map(({ id }) => [id, new Set<bigint>()]));
  // Buckets of one stack share its frames.
  const stacks = new Map(segment.buckets.map(({ frames, frameModules }) => [frames, frameModules]));
  for (const [frames, frameModules] of stacks) {
    for (let i = 0; i < frames.length; i++) perModule.get(frameModules[i] ?? 0)?.add(frames[i] ?? 0n);
  }
  return perModule;
}

/**
 * The part of an answer that is still right next time. What has a file and a line is, and so is all that Go's line table
 * says (also that a function is a wrapper, by having no line), since it is part of the image. A bare name is, where the
 * module has debug information and it was complete; elsewhere a debug file that is installed later may know more. Where
 * nothing is known, we ask (and warn) again.
 */
function lasting(found: ReadonlyMap<bigint, ResolvedLocation>, warning: string): Map<bigint, ResolvedLocation> {
  const locations = [...found];
  const hasFiles = ({ lines }: ResolvedLocation) => lines.every(({ file }) => file !== '');
  const hasDebugInfo = locations.some(([, one]) => !one.isGo && one.lines.length > 0 && hasFiles(one));
  const keepsNames = hasDebugInfo && warning === '';
  return new Map(locations.filter(([, one]) => one.isGo || (one.lines.length > 0 && (keepsNames || hasFiles(one)))));
}

/** Looks modules up, in the cache first. */
class ModuleSymbolizer {
  /** @param startedMs When the segment was made, ms since 1970. */
  constructor(
    private readonly options: SymbolizeOptions,
    private readonly binding: Symbolizer,
    private readonly startedMs: number,
  ) {}

  /** @param addresses ELF virtual addresses, inside the call. */
  async symbolize(module: SegmentModule, addresses: readonly bigint[]): Promise<ReadonlyMap<bigint, ResolvedLocation>> {
    // The kernel's own image is in no file; its frames keep their addresses.
    if (module.isVdso) return new Map();
    const files = await findModuleFiles(module, this.options);
    if (module.buildId === '' && files.writtenMs > this.startedMs) {
      this.options.warn(
        `${module.path}: it was written after the process started and has no build id to tell: wrong lines?`,
      );
    }
    const key = module.buildId === '' ? files.identity : `build-id ${module.buildId}`;
    const known = (key === '' ? undefined : await this.options.cache?.load(key)) ?? new Map<bigint, ResolvedLocation>();
    const passing = this.options.cache?.passing?.(key) ?? new Map<bigint, ResolvedLocation>();
    const missing = addresses.filter((address) => !known.has(address) && !passing.has(address));
    if (missing.length === 0) return passing.size === 0 ? known : new Map([...known, ...passing]);

    const { lines, isGo, warning } = await this.#ask(module, files, missing);
    if (warning !== '') this.options.warn(`${module.path || 'a module without a path'}: ${warning}`);
    const found = new Map(
      missing.map((address, i) => [address, { lines: lines[i] ?? [], isGo: isGo[i] === 1 }] as const),
    );
    const kept = lasting(found, warning);
    if (key !== '' && kept.size > 0) await this.options.cache?.store(key, new Map([...known, ...kept]));
    if (key !== '' && kept.size < found.size) this.options.cache?.keepInPassing?.(key, found);
    return new Map([...known, ...passing, ...found]);
  }

  /** Never fails: a module that can't be read is a warning. */
  async #ask(module: SegmentModule, files: ModuleFiles, addresses: readonly bigint[]) {
    const nothing = { lines: [], isGo: new Uint8Array(), file: '' } satisfies Omit<SymbolizeResult, 'warning'>;
    if (files.paths.length === 0) return { ...nothing, warning: files.problem };
    const { root, debugRoots } = this.options;
    try {
      return await this.binding.symbolizeModule({
        files: files.paths,
        buildId: module.buildId,
        addresses: BigUint64Array.from(addresses),
        debugRoots: [...new Set([...debugRoots.map((dir) => root + dir), ...debugRoots])],
      });
    } catch (error) {
      return { ...nothing, warning: error instanceof Error ? error.message : `${error}` };
    }
  }
}

/**
 * Resolves every frame of every bucket. A module that can't be symbolized is a warning and keeps its addresses.
 *
 * @param binding The addon, unless a test stands in for it.
 */
export async function symbolizeSegment(
  segment: Segment,
  options: SymbolizeOptions,
  binding?: Symbolizer,
): Promise<SymbolizedSegment> {
  const startedMs = Number(segment.header.createdUnixNs / 1_000_000n);
  const symbolizer = new ModuleSymbolizer(options, binding ?? (await import('../native-binding.js')).native, startedMs);
  const perModule = collectAddresses(segment);
  const total = [...perModule.values()].reduce((sum, addresses) => sum + addresses.size, 0);
  const locations = new Map<number, ReadonlyMap<bigint, ResolvedLocation>>();
  let done = 0;
  for (const module of segment.modules) {
    const returnAddresses = [...(perModule.get(module.id) ?? [])];
    if (returnAddresses.length === 0) continue;
    options.onProgress?.(done, total, module.path);
    // Back into the call; and a hostile address below the bias wraps, as it will in the addon's uint64.
    const toVirtual = (pc: bigint) => BigInt.asUintN(64, pc - 1n - module.bias);
    const symbols = await symbolizer.symbolize(module, returnAddresses.map(toVirtual));
    const unknown: ResolvedLocation = { lines: [], isGo: false };
    locations.set(module.id, new Map(returnAddresses.map((pc) => [pc, symbols.get(toVirtual(pc)) ?? unknown])));
    done += returnAddresses.length;
  }
  options.onProgress?.(total, total, '');
  return { segment, locations };
}
