import { expect, test } from 'vitest';
import { DeltaWindows } from '../../../src/serve/delta-windows.js';

test('sixteen at once, and others again when one is over, however it ended', async () => {
  const windows = new DeltaWindows();
  const ends: ((error?: Error) => void)[] = [];
  const open = () =>
    windows.during(
      () => new Promise<void>((resolve, reject) => ends.push((error) => (error ? reject(error) : resolve()))),
    );
  const running = Array.from({ length: 16 }, open);
  await expect(open()).rejects.toMatchObject({ status: 503, message: expect.stringMatching(/^cgoprof: 16 profiles/) });

  ends[3]?.();
  await running[3];
  const next = open();
  ends[5]?.(new Error('client gone'));
  await expect(running[5]).rejects.toThrow('client gone');
  const another = open();
  await expect(open()).rejects.toMatchObject({ status: 503 });

  for (const end of ends) end();
  await Promise.all([next, another, ...running.filter((_, i) => i !== 5)]);
});
