import { expect, onTestFinished, test, vi } from 'vitest';
import { SNAPSHOTS, Turns } from '../../../src/serve/turns.js';

/** A piece of work that ends when it is told to. */
class Work {
  end: () => void = () => {};
  readonly run = () => new Promise<void>((resolve) => (this.end = resolve));
}

const settled = () => new Promise((resolve) => setImmediate(resolve));

test('no more than so many at a time, the others in their order', async () => {
  const turns = new Turns({ atOnce: 2, maxWaitMs: 60_000 });
  const begun: number[] = [];
  const works = Array.from({ length: 5 }, () => new Work());
  const all = works.map((work, i) =>
    turns.take(() => {
      begun.push(i);
      return work.run();
    }),
  );
  await settled();
  expect(begun).toEqual([0, 1]);
  works[1]?.end();
  await settled();
  expect(begun).toEqual([0, 1, 2]);
  works[0]?.end();
  works[2]?.end();
  await settled();
  expect(begun).toEqual([0, 1, 2, 3, 4]);
  works[3]?.end();
  works[4]?.end();
  await Promise.all(all);
});

test('a failure gives the turn back', async () => {
  const turns = new Turns({ atOnce: 1, maxWaitMs: 60_000 });
  await expect(turns.take(() => Promise.reject(new Error('no')))).rejects.toThrow('no');
  expect(await turns.take(async () => 7)).toBe(7);
});

test('whoever waits too long is told to come again, and does not begin after all', async () => {
  const turns = new Turns({ atOnce: 1, maxWaitMs: 1 });
  const work = new Work();
  const first = turns.take(work.run);
  let begun = false;
  const second = turns.take(async () => {
    begun = true;
  });
  await expect(second).rejects.toMatchObject({ status: 503, headers: { 'Retry-After': '1' } });
  work.end();
  await first;
  expect(await turns.take(async () => 'free again')).toBe('free again');
  expect(begun).toBe(false);
});

test('unless it is said otherwise, turns are as snapshots have them', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  onTestFinished(() => void vi.useRealTimers());
  const turns = new Turns();
  const works = Array.from({ length: SNAPSHOTS.atOnce + 1 }, () => new Work());
  const all = works.map((work) => turns.take(work.run).catch(({ status }) => status));
  vi.advanceTimersByTime(SNAPSHOTS.maxWaitMs - 1);
  await settled();
  expect(await Promise.race([...all, 'nobody yet'])).toBe('nobody yet');
  vi.advanceTimersByTime(1);
  expect(await all.at(-1)).toBe(503);
  for (const work of works) work.end();
  expect(await Promise.all(all)).toEqual([...Array(SNAPSHOTS.atOnce).fill(undefined), 503]);
});
