/** Attaching to processes as people do it, and the programs that it is done to. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';
import { PLUGIN_SOURCE } from '../../scripts/lib/attach-service.mjs';
import { native, type SegmentHeader } from '../../src/native-binding.js';
import { untilAlone } from './attach-outside.js';
import type { Finished, StartOptions, Workshop } from './cgoprof.js';
import { type PprofSample, rawSamples } from './go-pprof.js';
import type { Service } from './service.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const SERVICE = join(ROOT, 'test/targets/attach-service');

/** What `attach --json` and `detach --json` print. */
export interface Controlled {
  readonly pid: number;
  readonly command: string;
  readonly segment: string;
  readonly how: string;
  readonly stoppedNs: number;
  readonly threadId: number;
  readonly attempts: number;
  readonly patched: number;
}

async function control(shop: Workshop, words: readonly string[], options: StartOptions): Promise<Controlled> {
  const { code, stdout, stderr } = await shop.run([...words, '--json'], options);
  if (code !== 0) throw new Error(`${words.join(' ')}: exit status ${code}: ${stderr}`);
  return JSON.parse(stdout) as Controlled;
}

/** Attaches; every allocation is recorded from then on. */
export function attach(shop: Workshop, pid: number, options: StartOptions = {}): Promise<Controlled> {
  return control(shop, ['attach', `${pid}`, '--rate', '1'], options);
}

/** Detaches, and waits until the library's thread has ended. */
export async function detach(shop: Workshop, pid: number, options: StartOptions = {}): Promise<Controlled> {
  const done = await control(shop, ['detach', `${pid}`], options);
  await untilAlone(pid);
  return done;
}

/** Has an attach refused. @returns why and the hint, without "cgoprof: pid N: " */
export async function refusal(shop: Workshop, pid: number, options: StartOptions = {}): Promise<string> {
  return refused(pid, await shop.run(['attach', `${pid}`, '--json'], options));
}

/** What a refused attach said, without "cgoprof: pid N: ". */
export function refused(pid: number, { code, stdout, stderr }: Finished): string {
  const start = `cgoprof: pid ${pid}: `;
  expect({ code, stdout, stderr }).toEqual({ code: 1, stdout: '', stderr: expect.stringMatching(`^${start}`) });
  expect(stderr).toMatch(/^[^\n]+\n {2}\S[^\n]+\n$/); // why, and a hint
  return stderr.slice(start.length);
}

/** The header of the segment that an attach has told of. */
export const headerOf = ({ segment }: Controlled): SegmentHeader => native.readSegmentHeader(segment);

/** C's part of the profile of a process, as `go tool pprof -raw` reads it. */
export async function profileOf(shop: Workshop, pid: number, options: StartOptions = {}): Promise<PprofSample[]> {
  const file = shop.path('profile.pb.gz');
  const { code, stderr } = await shop.run(['heap', `${pid}`, '--go', 'none', '-o', file], options);
  if (code !== 0) throw new Error(`heap: exit status ${code}: ${stderr}`);
  return rawSamples(file);
}

// ---- Programs ----

/** The plugin of attach-service. */
export function compilePlugin(shop: Workshop): string {
  const path = shop.path('plugin.so');
  execFileSync('cc', ['-g', '-O1', '-shared', '-fPIC', '-o', path, join(ROOT, PLUGIN_SOURCE)]);
  return path;
}

/** The program of one thread, which is a canary: attach-service/alone. */
export function compileAlone(shop: Workshop): string {
  const path = shop.path('alone');
  const sources = ['canary.c', 'canary_registers.S', 'alone/alone.c'].map((name) => join(SERVICE, name));
  execFileSync('cc', ['-g', '-O1', '-pthread', '-o', path, ...sources]);
  return path;
}

/** Ends a program at the end of its input. It must have nothing to complain of. */
export async function endWell(service: Service): Promise<string> {
  service.process.stdin?.end();
  const { code, signal, stdout, stderr } = await service.finished;
  expect({ code, signal, stderr }).toEqual({ code: 0, signal: null, stderr: '' });
  return stdout;
}

/** What a path of attach-service answers. */
export async function ask<T>({ url }: Service, path: string): Promise<T> {
  const response = await fetch(`${url}${path}`);
  if (!response.ok) throw new Error(`${path}: status ${response.status}`);
  return (await response.json()) as T;
}
