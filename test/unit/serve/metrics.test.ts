import { expect, it, vi } from 'vitest';
import { MetricsPage } from '../../../src/serve/metrics.js';
import { FakeTarget } from '../../support/fake-target.js';

it('whoever asks meanwhile gets the same page, and the next one a new one', async () => {
  const fake = new FakeTarget();
  const page = new MetricsPage([fake.served]);
  const inUse = (text: string) => /^cgoprof_c_in_use_bytes\{target="app"\} (\d+)$/m.exec(text)?.[1];
  const read = vi.spyOn(fake, 'segment');
  const [one, other] = await Promise.all([page.text(), page.text()]);
  expect([inUse(one), inUse(other)]).toEqual(['997', '997']);
  const once = read.mock.calls.length;
  fake.buckets = [{ stack: ['hold@/srv/app/cache.c:7'], allocs: 1, allocBytes: 7919 }];
  expect(inUse(await page.text())).toBe('7919');
  expect(read).toHaveBeenCalledTimes(2 * once);
});
