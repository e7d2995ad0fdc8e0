/** Numbers for people. */

const SIZES = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];

/** `1.5 MiB`: at most one decimal, none for whole numbers. */
export function formatBytes(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (Math.abs(value) >= 1024 && unit < SIZES.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${Number(value.toFixed(1))} ${SIZES[unit]}`;
}

/** `85 µs`, `1.2 ms`. */
export function formatNanos(ns: number): string {
  return ns < 1e6 ? `${Math.round(ns / 1e3)} µs` : `${Number((ns / 1e6).toFixed(1))} ms`;
}

/** `850 ms`, `3.2 s`, `4 min`. */
export function formatAge(ms: number): string {
  if (ms < 1_000) return `${Math.max(0, Math.round(ms))} ms`;
  if (ms < 120_000) return `${Number((ms / 1_000).toFixed(1))} s`;
  return `${Math.round(ms / 60_000)} min`;
}

/** `2026-11-22 03:06:00`, local time. */
export function formatTime(date: Date): string {
  const two = (part: number): string => String(part).padStart(2, '0');
  const day = [date.getFullYear(), two(date.getMonth() + 1), two(date.getDate())].join('-');
  return `${day} ${[date.getHours(), date.getMinutes(), date.getSeconds()].map(two).join(':')}`;
}
