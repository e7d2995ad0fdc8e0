import { describe, expect, it } from 'vitest';
import { matchesPattern } from '../../../src/collect/command-pattern.js';
import { nameOf, parseNamedUrl, parseTarget, uniqueName } from '../../../src/collect/target-name.js';

const isSegment = (path: string) => path === './copy';

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
    ['--port=80', '--port', '80', 'pid'],
    ['/x=y', undefined, '/x=y', 'pattern'],
  ])('%s', (argument, name, text, kind) => {
    expect(parseTarget(argument, isSegment)).toEqual({ name, text, kind });
  });

  it.each(['', 'web=', '.=api', '..=api'])('%j is none', (argument) => {
    expect(() => parseTarget(argument, isSegment)).toThrow(expect.objectContaining({ exitCode: 2 }));
  });
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
  ['/srv/<script>?', '-script-'],
  ['/srv/äpi', '-pi'],
  [`/srv/${'x'.repeat(99)}`, 'x'.repeat(64)],
])('%s is served as %s', (program, name) => {
  expect(nameOf(program)).toBe(name);
});

it('names are made unique', () => {
  const taken = new Set(['api', 'api-2']);
  expect(uniqueName('api', (name) => taken.has(name))).toBe('api-3');
  expect(uniqueName('web', (name) => taken.has(name))).toBe('web');
});

describe('a pattern', () => {
  it.each([
    ['api', 'api', true],
    ['api', 'api2', false],
    ['api', 'ap', false],
    ['', '', true],
    ['*', '', true],
    ['*', 'anything at all', true],
    ['a?i', 'api', true],
    ['a?i', 'ai', false],
    ['a*i', 'ai', true],
    ['a*b*c', 'a-b-b-c', true],
    ['a*b*c', 'a-c-b', false],
    ['*/api *', '/srv/api --port 80', true],
    ['*api', '/srv/api --port 80', false],
    ['[a]', '[a]', true],
    ['[a]', 'a', false],
    ['a.c', 'abc', false],
    ['**a**', 'xax', true],
  ])('%j of %j: %s', (pattern, text, expected) => {
    expect(matchesPattern(pattern, text)).toBe(expected);
  });

  it('is not kept busy by a text that nearly matches', () => {
    expect(matchesPattern(`${'*a'.repeat(50)}*b`, 'a'.repeat(16_384))).toBe(false);
  });
});
