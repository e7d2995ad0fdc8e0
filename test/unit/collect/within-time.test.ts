import { setTimeout as sleep } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, test } from 'vitest';
import { withinTime } from '../../../src/collect/within-time.js';

/** Waits until it is called off. @returns why */
const waiting = (signal: AbortSignal) =>
  new Promise((resolve) => signal.addEventListener('abort', () => resolve(signal.reason)));

test('what takes too long is called off, whatever is collected meanwhile', async () => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const over = withinTime(100, new AbortController().signal, waiting);
  for (let i = 0; i < 5; i++) {
    await sleep(5);
    collect();
  }
  expect(await over).toMatchObject({ name: 'TimeoutError' });
});

test('so is what somebody calls off, before or meanwhile', async () => {
  const cancel = new AbortController();
  const over = withinTime(600_000, cancel.signal, waiting);
  cancel.abort('enough');
  expect(await over).toBe('enough');
  expect(await withinTime(600_000, cancel.signal, async ({ aborted, reason }) => [aborted, reason])).toEqual([
    true,
    'enough',
  ]);
});

test('what is done in time is not', async () => {
  const cancel = new AbortController();
  let signal: AbortSignal | undefined;
  const done = await withinTime(600_000, cancel.signal, async (given) => {
    signal = given;
    return 'done';
  });
  cancel.abort();
  expect([done, signal?.aborted]).toEqual(['done', false]);
});
