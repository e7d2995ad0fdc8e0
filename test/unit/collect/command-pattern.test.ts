import { chmodSync, symlinkSync } from 'node:fs';
import { relative } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { findByPattern, isMissingFile, matchesPattern } from '../../../src/collect/command-pattern.js';
import { FakeWorld } from '../../support/fake-world.js';

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

describe('processes that run one executable of two', () => {
  let world: FakeWorld;
  let program: string;
  beforeEach(() => {
    world = new FakeWorld();
    program = world.write('srv/my api', '');
    chmodSync(program, 0o755);
    runs(10, program);
    runs(11, world.write('other/my api', ''));
  });
  afterEach(() => world.remove());

  function runs(pid: number, path: string): void {
    world.process(pid);
    symlinkSync(path, world.path(`proc/${pid}/exe`));
    world.write(`proc/${pid}/cmdline`, './my api\0-x\0');
  }
  const find = (pattern: string) => findByPattern(world.procRoot, pattern).pids;

  it('are found by its path, as it is typed', () => {
    expect(find(program)).toEqual([10]);
    expect(find(relative('', program))).toEqual([10]);
    expect(find(`${world.root}/other/../srv/my api`)).toEqual([10]);
  });

  it('are found by a link to it, wherever that leads now', () => {
    symlinkSync('srv', world.path('current'));
    expect(find(world.path('current/my api'))).toEqual([10]);
  });

  it('are found by its path where the file is gone', () => {
    runs(12, `${world.root}/gone/api (deleted)`);
    expect(find(relative('', `${world.root}/gone/api`))).toEqual([12]);
  });

  it('are found by name, by path with wildcards and by command line as well', () => {
    expect(find('my?api')).toEqual([10, 11]);
    expect(find('*/srv/*')).toEqual([10]);
    expect(find('./my api -x')).toEqual([10, 11]);
    expect(find('api')).toEqual([]);
  });

  it('are found by a command line without a path, of which the pattern has a space', () => {
    world.write('proc/11/cmdline', 'api\0serve\0');
    expect(find('api serve')).toEqual([11]);
    expect(find('a?i *')).toEqual([11]);
  });

  it('are compared by the first 16,384 characters of their command line', () => {
    world.write('proc/11/cmdline', `api\0${'x'.repeat(20_000)}end`);
    expect(find(`api ${'x'.repeat(16_384 - 'api '.length)}`)).toEqual([11]);
    expect(find('api *end')).toEqual([]);
  });

  it('are not the one that looks, whose command line holds the pattern', () => {
    runs(process.pid, program);
    expect(find(program)).toEqual([10]);
    expect(find('*my api*')).toEqual([10, 11]);
  });

  it('are no threads of the kernel, whatever those are called', () => {
    world.process(12, { flags: 0x200000 });
    world.write('proc/12/comm', 'kworker/1:2\n');
    world.process(13);
    world.write('proc/13/comm', 'kworker/1:2\n');
    expect(find('kworker/*')).toEqual([13]);
    expect(find('Kworker/*')).toEqual([]);
    expect(findByPattern(world.procRoot, 'Kworker/*').alike).toEqual(['kworker/1:2']);
  });

  it('are told of where only upper and lower case differ', () => {
    const alike = (pattern: string) => findByPattern(world.procRoot, pattern).alike;
    expect(find('MY?Api')).toEqual([]);
    expect([...alike('MY?Api')].sort()).toEqual([`${world.root}/other/my api`, program].sort());
    expect(alike(world.path('SRV/my api'))).toEqual([program]);
    expect(alike('api')).toEqual([]);
    expect(alike('my?api')).toEqual([]);
  });

  it('are missing a file where a path leads to none', () => {
    expect(['api', program, '/*/api', '/gone/api --port 80', '/gone/api'].map(isMissingFile)).toEqual([
      false,
      false,
      false,
      false,
      true,
    ]);
  });
});
