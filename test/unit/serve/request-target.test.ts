import { expect, test } from 'vitest';
import { requestTarget } from '../../../src/serve/request-target.js';

test.each([
  ['/', '/', ''],
  ['/debug/pprof/heap?gc=1&seconds=2', '/debug/pprof/heap', '?gc=1&seconds=2'],
  ['http://127.0.0.1:6061/debug/pprof/heap?gc=1', '/debug/pprof/heap', '?gc=1'],
  ['/p/%2Fsrv%2Fapp/', '/p/%2Fsrv%2Fapp/', ''],
  ['/debug/../debug/pprof/heap', '/debug/../debug/pprof/heap', ''],
  ['//evil.example/debug', '//evil.example/debug', ''],
])('%s is the path %s', (target, path, search) => {
  const asked = requestTarget(target);
  expect(asked.path).toBe(path);
  expect(asked.url.search).toBe(search);
  expect(asked.url.host).toBe('localhost');
});

test.each([
  '',
  '*',
  'debug/pprof/heap',
  'http://127.0.0.1:6061',
  'ftp://127.0.0.1/',
  '/a\\b',
  '/a#b',
  '/a b',
  '/a\u00e9',
  '/%',
  '/%g0',
  '/%00',
  '/a/%2e%2e/b',
  '/a/.%2E/b',
  '/a/%2e./b',
  '/%2e',
])('"%s" is none', (target) => expect(() => requestTarget(target)).toThrow('malformed request target'));
