/** What a profile says about the sites of a target: lines of its source that allocate, listed in its sites.json. */
import { readSites } from '../../scripts/lib/sites.mjs';
import type { PprofLine, PprofSample } from './go-pprof.js';

export interface Site {
  readonly name: string;
  /** What the line belongs to. */
  readonly function: string;
  readonly path: string;
  readonly line: number;
  /** Allocated there, altogether. */
  readonly blocks: number;
  readonly bytes: number;
  /** All of it is in use at the end, or none. */
  readonly live: boolean;
  /** Functions above, towards the root, with others between. */
  readonly callers: readonly string[];
}

/** All of a target's sites. */
export function sitesOf(target: string): readonly Site[] {
  return readSites(target);
}

/** The site of that name. */
export function siteOf(target: string, name: string): Site {
  const site = sitesOf(target).find((one) => one.name === name);
  if (site === undefined) throw new Error(`${target} has no site ${name}`);
  return site;
}

/** Every line of a stack, leaf first, inlined functions before what they are inlined into. */
export function linesOf({ stack }: PprofSample): PprofLine[] {
  return stack.flatMap(({ lines }) => lines);
}

/** Samples that have the site's line in their stack. */
export function samplesAt(samples: readonly PprofSample[], site: Pick<Site, 'path' | 'line'>): PprofSample[] {
  return samples.filter((sample) => linesOf(sample).some(({ file, line }) => file === site.path && line === site.line));
}

/** alloc_objects, alloc_space, inuse_objects, inuse_space: Go's order. */
export function total(samples: readonly PprofSample[]): number[] {
  return [0, 1, 2, 3].map((index) => samples.reduce((sum, { values }) => sum + (values[index] ?? 0), 0));
}

/** What the samples at a site add up to when everything there was allocated `times` times and is in use. */
export function allInUse({ blocks, bytes }: Site, times = 1): number[] {
  return [blocks, bytes, blocks, bytes].map((value) => value * times);
}

/** What they add up to once the target has done its work. */
export function truth(site: Site): number[] {
  return site.live ? allInUse(site) : [site.blocks, site.bytes, 0, 0];
}
