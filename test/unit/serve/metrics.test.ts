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

it('of a process that ends while it is read nothing is told: its pid may be another by then', async () => {
  const fake = new FakeTarget();
  const page = new MetricsPage([fake.served]);
  vi.spyOn(fake, 'memory').mockImplementation(() => {
    fake.end();
    return { resident: 1, anonymous: 1, file: 0, shared: 0 };
  });
  const text = await page.text();
  expect(text).toContain('cgoprof_target_up{target="app"} 0\n');
  expect(text).not.toMatch(/_bytes\{target="app"/);
});
