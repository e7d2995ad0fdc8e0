import { expect, it } from 'vitest';
import type { FollowedSegment } from '../../../src/collect/followed-target.js';
import { UnderWay } from '../../../src/serve/under-way.js';

const [process, next] = [{}, {}] as [FollowedSegment, FollowedSegment];

/** Work that ends when a test says so. */
function work() {
  let end: (result: string) => void = () => {};
  const result = new Promise<string>((resolve) => (end = resolve));
  return { begin: () => result, end };
}

it('work is shared until it is over, however it ends', async () => {
  const underWay = new UnderWay<'c', string>();
  const first = work();
  const shared = [1, 2].map(() => underWay.share('c', process, first.begin));
  first.end('first');
  expect(await Promise.all(shared)).toEqual(['first', 'first']);
  await expect(underWay.share('c', process, () => Promise.reject(new Error('no')))).rejects.toThrow('no');
  expect(await underWay.share('c', process, async () => 'second')).toBe('second');
});

it('what ends of a process before leaves what is under way of the next', async () => {
  const underWay = new UnderWay<'c', string>();
  const [old, begun] = [work(), work()];
  const early = underWay.share('c', process, old.begin);
  const shared = [underWay.share('c', next, begun.begin)];
  old.end('old');
  await early;
  shared.push(underWay.share('c', next, async () => 'begun anew'));
  begun.end('begun');
  expect(await Promise.all(shared)).toEqual(['begun', 'begun']);
});
