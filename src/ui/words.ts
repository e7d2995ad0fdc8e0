/** Numbers and times in words, as the page has them. */
import { formatBytes } from '../present/units.js';

/** `+1.5 MiB`, `−20 KiB`, `±0`. */
export function formatChange(bytes: number): string {
  const rounded = Math.round(bytes);
  if (rounded === 0) return '±0';
  return `${rounded < 0 ? '−' : '+'}${formatBytes(Math.abs(rounded))}`;
}

/** `1.2–1.5 MiB`, `900 KiB – 1.1 MiB`. */
export function formatInterval(low: number, high: number): string {
  const [from = '', fromUnit] = formatBytes(Math.round(low)).split(' ');
  const to = formatBytes(Math.round(high));
  return to.endsWith(` ${fromUnit}`) ? `${from}–${to}` : `${from} ${fromUnit} – ${to}`;
}

/** `30 s`, `12 min`, `1 h`. */
export function formatSpan(ms: number): string {
  const seconds = Math.round(ms / 1_000);
  if (seconds < 90) return `${seconds} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 60 ? `${minutes} min` : `${Number((minutes / 60).toFixed(1))} h`;
}

/** `15:04`, local time. */
export function formatClock(at: number): string {
  const date = new Date(at);
  return [date.getHours(), date.getMinutes()].map((part) => String(part).padStart(2, '0')).join(':');
}

/** `15:04:05`, local time. */
export function formatClockSeconds(at: number): string {
  return `${formatClock(at)}:${String(new Date(at).getSeconds()).padStart(2, '0')}`;
}

/** `<0.1 %`, `12.3 %`. */
export function formatShare(part: number, whole: number): string {
  if (whole <= 0) return '–';
  const percent = (100 * part) / whole;
  if (percent > 0 && percent < 0.1) return '<0.1 %';
  return `${Number(percent.toFixed(1))} %`;
}

/** The last two parts of a path: enough to know it again. */
export function shortPath(path: string): string {
  return path.split('/').slice(-2).join('/');
}
