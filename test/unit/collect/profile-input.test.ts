import { execFileSync } from 'node:child_process';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { readProfileInput } from '../../../src/collect/profile-input.js';
import { FakeWorld } from '../../support/fake-world.js';

let world: FakeWorld;
beforeEach(() => {
  world = new FakeWorld();
});
afterEach(() => world.remove());

it('reads a file whole, and up to the limit', () => {
  const bytes = Buffer.from('x'.repeat(1_300_021));
  const path = world.write('heap.pb.gz', bytes);
  expect(Buffer.compare(readProfileInput(path, bytes.length) as Uint8Array, bytes)).toBe(0);
  expect(() => readProfileInput(path, 2 ** 20)).toThrow('longer than 1 MiB');
});

it('recognizes a segment by how it begins', () => {
  expect(readProfileInput(world.write('a.seg', `CGOPROF\0${'x'.repeat(5000)}`), 100)).toBe('segment');
  expect(readProfileInput(world.write('b.seg', 'CGOPROF'), 100)).toEqual(Buffer.from('CGOPROF'));
  expect(readProfileInput(world.write('empty', ''), 100)).toEqual(Buffer.alloc(0));
});

it('reads a pipe', () => {
  const pipe = world.path('pipe');
  execFileSync('mkfifo', [pipe]);
  execFileSync('sh', ['-c', `(printf 'profile '; printf bytes) >"$0" &`, pipe], { stdio: 'ignore' });
  expect(readProfileInput(pipe, 100)).toEqual(Buffer.from('profile bytes'));
});

it('throws what the system says', () => {
  expect(() => readProfileInput(world.path('nothing'), 100)).toThrow(expect.objectContaining({ code: 'ENOENT' }));
  expect(() => readProfileInput(world.root, 100)).toThrow(expect.objectContaining({ code: 'EISDIR' }));
});
