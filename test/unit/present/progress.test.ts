import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { Progress } from '../../../src/present/progress.js';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

function terminal(stderrIsTerminal = true) {
  const written: string[] = [];
  return { written, context: { stderrIsTerminal, writeErr: (text: string) => void written.push(text) } };
}

it('shows slow work after a second, redraws what changed, and erases it', () => {
  const { written, context } = terminal();
  const progress = new Progress(context, 'symbolizing');
  progress.update(0, 200, '/lib/a.so');
  vi.advanceTimersByTime(999);
  expect(written).toEqual([]);
  vi.advanceTimersByTime(1);
  expect(written).toEqual(['\r\x1b[Ksymbolizing 0% /lib/a.so']);
  vi.advanceTimersByTime(500);
  expect(written).toHaveLength(1);
  progress.update(199, 200, `/lib/${'x'.repeat(50)}/b\n.so`);
  vi.advanceTimersByTime(100);
  expect(written[1]).toBe(`\r\x1b[Ksymbolizing 99% ${'x'.repeat(34)}/b .so`);
  progress.end();
  expect(written[2]).toBe('\r\x1b[K');
  expect(vi.getTimerCount()).toBe(0);
});

it('says nothing of quick work', () => {
  const { written, context } = terminal();
  const progress = new Progress(context, 'symbolizing');
  progress.update(1, 0, 'x');
  progress.end();
  vi.advanceTimersByTime(5_000);
  expect(written).toEqual([]);
});

it('says nothing where nobody looks', () => {
  const { written, context } = terminal(false);
  const progress = new Progress(context, 'symbolizing');
  progress.update(1, 2, 'x');
  vi.advanceTimersByTime(5_000);
  progress.end();
  expect(written).toEqual([]);
});
