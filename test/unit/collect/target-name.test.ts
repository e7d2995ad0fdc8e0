import { describe, expect, it } from 'vitest';
import { type FileKind, nameOf, parseNamedUrl, parseTarget, uniqueName } from '../../../src/collect/target-name.js';

const FILES: Readonly<Record<string, FileKind>> = { './copy': 'segment', 'b.pb.gz': 'useless', './bin': 'directory' };
const fileAt = (path: string) => FILES[path];

describe('TARGET', () => {
  it.each([
    ['4711', undefined, '4711', 'pid'],
    ['/dev/shm/cgoprof-0/1-2.seg', undefined, '/dev/shm/cgoprof-0/1-2.seg', 'file'],
    ['./copy', undefined, './copy', 'file'],
    ['api', undefined, 'api', 'pattern'],
    ['*/api --port=80', undefined, '*/api --port=80', 'pattern'],
    ['web=4711', 'web', '4711', 'pid'],
    ['web=./copy', 'web', './copy', 'file'],
    ['a.b-c_1=api*', 'a.b-c_1', 'api*', 'pattern'],
    ['web=*/api --port=80', 'web', '*/api --port=80', 'pattern'],
    ['api=--port=80', 'api', '--port=80', 'pattern'],
    ['/x=y', undefined, '/x=y', 'pattern'],
  ])('%s', (argument, name, text, kind) => {
    expect(parseTarget(argument, fileAt)).toEqual({ name, text, kind });
  });

  it.each(['', 'web=', '.=api', '..=api', '-x', '--port=80', 'b.pb.gz', 'web=b.pb.gz', './bin'])(
    '%j is none',
    (argument) => {
      expect(() => parseTarget(argument, fileAt)).toThrow(expect.objectContaining({ exitCode: 2 }));
    },
  );
});

it.each([
  ['http://127.0.0.1:6060', undefined, 'http://127.0.0.1:6060'],
  ['http://h/?a=b', undefined, 'http://h/?a=b'],
  ['api=http://h/?a=b', 'api', 'http://h/?a=b'],
  ['api=none', 'api', 'none'],
])('--go %s', (text, name, url) => {
  expect(parseNamedUrl(text)).toEqual({ name, url });
});

it.each([
  ['/srv/bin/api', 'api'],
  ['*/bin/api --port 80', 'api'],
  ['api*', 'api'],
  ['*', 'target'],
  ['', 'target'],
  ['/srv/..', 'target'],
  ['/srv/a b', 'a'],
  ['/srv/<script>?', 'script'],
  ['/srv/äpi', 'pi'],
  ['worker-*', 'worker'],
  ['*-worker-?.*', 'worker'],
  ['_worker', '_worker'],
  [`/srv/${'x'.repeat(99)}`, 'x'.repeat(64)],
])('%s is served as %s', (program, name) => {
  expect(nameOf(program)).toBe(name);
});

it('names are made unique', () => {
  const taken = new Set(['api', 'api-2']);
  expect(uniqueName('api', (name) => taken.has(name))).toBe('api-3');
  expect(uniqueName('web', (name) => taken.has(name))).toBe('web');
});
