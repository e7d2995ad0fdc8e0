// Expected values: cleanPath of net/http, Go 1.26.
import { expect, test } from 'vitest';
import { cleanPath } from '../../../src/serve/clean-path.js';

test.each([
  ['/', '/'],
  ['//', '/'],
  ['/debug/pprof/heap', '/debug/pprof/heap'],
  ['//debug/pprof/heap', '/debug/pprof/heap'],
  ['/debug//pprof///', '/debug/pprof/'],
  ['/debug/./pprof/../vars', '/debug/vars'],
  ['/../../etc/passwd', '/etc/passwd'],
  ['/debug/pprof/..', '/debug'],
  ['/debug/..', '/'],
  ['/a%2f%2fb', '/a%2f%2fb'],
])('%s → %s', (path, clean) => {
  expect(cleanPath(path)).toBe(clean);
});
