/**
 * Values that flags and arguments take: sizes, durations, profile choices, pids. Each parser returns the value or throws a plain Error whose
 * message says what was expected.
 */

const SIZE_UNITS: Readonly<Record<string, number>> = {
  '': 1,
  b: 1,
  k: 2 ** 10,
  m: 2 ** 20,
  g: 2 ** 30,
  kib: 2 ** 10,
  mib: 2 ** 20,
  gib: 2 ** 30,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
};

/** Go's runtime.MemProfileRate. */
export const DEFAULT_RATE = 524288;
const MAX_RATE = 2 ** 40;

/** Mean bytes between samples: `1`, `524288`, `512KiB`, `1.5MiB`, `2MB`. */
export function parseRate(text: string): number {
  const match = /^(\d{1,15}(?:\.\d{1,6})?)\s*([a-z]*)$/i.exec(text.trim());
  const unit = SIZE_UNITS[(match?.[2] ?? '').toLowerCase()];
  if (!match || unit === undefined) throw new Error('expected a number of bytes such as 1, 524288, 512KiB or 1MiB');
  const bytes = Number(match[1]) * unit;
  if (!Number.isInteger(bytes)) throw new Error('expected a whole number of bytes');
  if (bytes < 1) throw new Error('must be at least 1 (1 records every allocation)');
  if (bytes > MAX_RATE) throw new Error('must be at most 1TiB');
  return bytes;
}

const DURATION_UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };
const MAX_DURATION_MS = 24 * 3_600_000;

/** A duration as Go writes them (`500ms`, `10s`, `1m30s`), in milliseconds. */
export function parseDuration(text: string): number {
  if (!/^(\d{1,9}(?:\.\d{1,6})?(ms|s|m|h))+$/.test(text))
    throw new Error('expected a duration such as 10s, 500ms or 1m');
  let ms = 0;
  for (const [, number, unit] of text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h)/g)) {
    ms += Number(number) * (DURATION_UNITS[unit ?? ''] ?? 0);
  }
  if (ms > MAX_DURATION_MS) throw new Error('must be at most 24h');
  return ms;
}

/** Often enough for any service, and seldom enough not to load it: a heap profile stops the world for a moment. */
const MIN_INTERVAL_MS = 100;

/** How often to fetch, in milliseconds. */
export function parseInterval(text: string): number {
  const ms = parseDuration(text);
  if (ms < MIN_INTERVAL_MS) throw new Error('must be at least 100ms');
  return ms;
}

/** `go`, `all` or the base name of an executable. */
export function parseProfileChoice(text: string): string {
  if (text === '' || text.includes('/')) throw new Error('expected go, all, or the base name of an executable');
  return text;
}

/** A process, and no segment: of a dead one nothing can be asked. */
export function parsePid(text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new Error('expected the pid of a running process');
  return Number(text);
}

/** Where to listen: `127.0.0.1:6061`, `[::1]:6061`, `:6061` (everywhere), `6061` (loopback); port 0 for any. */
export function parseListen(text: string): { host: string; port: number } {
  const match = /^(?:(\[[0-9a-f:.]+\]|[^:[\]]*):)?(\d{1,5})$/i.exec(text);
  const port = Number(match?.[2]);
  if (!match || port > 65535) throw new Error('expected HOST:PORT such as 127.0.0.1:6061');
  const host = match[1]?.replace(/^\[|\]$/g, '');
  return { host: host === undefined ? '127.0.0.1' : host || '::', port };
}
