import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { LastGood } from '../../../src/collect/poll-last-good.js';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const advance = (ms: number) => vi.advanceTimersByTimeAsync(ms);

it('asks often until the first answer, then at its interval', async () => {
  const ask = vi.fn<() => Promise<string>>();
  ask.mockRejectedValueOnce(new Error('not yet')).mockRejectedValueOnce(new Error('not yet')).mockResolvedValue('good');
  const poll = new LastGood(ask, 10_000);
  poll.start();
  await advance(499);
  expect(ask).toHaveBeenCalledTimes(0);
  await advance(1);
  expect(poll).toMatchObject({ value: undefined, error: new Error('not yet') });
  await advance(1_000);
  expect(ask).toHaveBeenCalledTimes(3);
  expect(poll).toMatchObject({ value: 'good', error: undefined });
  await advance(9_999);
  expect(ask).toHaveBeenCalledTimes(3);
  await advance(1);
  expect(ask).toHaveBeenCalledTimes(4);
  poll.stop();
});

it('keeps the last good answer when later ones fail', async () => {
  const ask = vi.fn<() => Promise<number>>();
  ask.mockResolvedValueOnce(1).mockResolvedValueOnce(2).mockRejectedValue(new Error('gone'));
  const poll = new LastGood(ask, 100);
  poll.start();
  await advance(300);
  expect(poll).toMatchObject({ value: 2, error: new Error('gone') });
  poll.stop();
});

it('asks one question at a time', async () => {
  let answer: (value: string) => void = () => {};
  const ask = vi.fn(
    () =>
      new Promise<string>((resolve) => {
        answer = resolve;
      }),
  );
  const poll = new LastGood(ask, 100);
  poll.start();
  await advance(5_000);
  expect(ask).toHaveBeenCalledTimes(1);
  answer('late');
  await advance(100);
  expect(ask).toHaveBeenCalledTimes(2);
  expect(poll.value).toBe('late');
  poll.stop();
});

it('calls a question off when stopped, and asks no more', async () => {
  const ask = vi.fn(
    (cancel: AbortSignal) =>
      new Promise<string>((resolve, reject) => {
        cancel.addEventListener('abort', () =>
          ask.mock.calls.length === 1 ? reject(new Error('aborted')) : resolve('x'),
        );
      }),
  );
  const poll = new LastGood(ask, 100);
  poll.start();
  await advance(100);
  poll.stop();
  await advance(10_000);
  expect(ask).toHaveBeenCalledTimes(1);
  expect(poll).toMatchObject({ value: undefined, error: undefined });
});

it('does not take an answer that comes after the stop', async () => {
  let answer: (value: string) => void = () => {};
  const poll = new LastGood(
    () =>
      new Promise<string>((resolve) => {
        answer = resolve;
      }),
    100,
  );
  poll.start();
  await advance(100);
  poll.stop();
  answer('late');
  await advance(1_000);
  expect(poll.value).toBeUndefined();
  expect(vi.getTimerCount()).toBe(0);
});

it('can be stopped before it was started', () => {
  const ask = vi.fn(async () => 1);
  const poll = new LastGood(ask, 100);
  poll.stop();
  poll.start();
  expect(vi.getTimerCount()).toBe(0);
});
