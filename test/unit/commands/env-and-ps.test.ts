import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { env } from '../../../src/commands/env.js';
import { ps } from '../../../src/commands/ps.js';
import { codedError, FakeWorld } from '../../support/fake-world.js';

let world: FakeWorld;
beforeEach(() => {
  world = new FakeWorld();
});
afterEach(() => world.remove());

it('env prints one KEY=VALUE a line', async () => {
  const ending = await env(world.context(), { rate: 1048576, profile: 'go', follow: true });
  expect(ending).toEqual({ code: 0 });
  expect(world.out).toBe(
    `LD_PRELOAD=${world.libraryPath}\nCGOPROF_RATE=1048576\nCGOPROF_PROFILE=go\nCGOPROF_FOLLOW=1\n`,
  );
  expect(world.err).toBe('');
});

describe('ps', () => {
  it('lists the living and the dead for people', async () => {
    world.process(10, { start: 1 });
    world.segment('10-1.seg');
    world.segment('11-1.seg');
    expect(await ps(world.context(), { json: false })).toEqual({ code: 0 });
    expect(world.out).toMatch(/^PID {2}STATE .*\n 10 {2}running .*\n 11 {2}died .*\n$/);
    expect(world.err).toBe('');
  });

  it('and for machines', async () => {
    const path = world.segment('11-1.seg', { state: 'exited' });
    await ps(world.context(), { json: true });
    expect(JSON.parse(world.out)).toMatchObject([{ pid: 11, state: 'exited', segment: path }]);
  });

  it('warns of what it cannot read and goes on', async () => {
    const bad = world.segment('10-1.seg');
    world.segments.set(bad, codedError('SEGMENT_VERSION', 'ABI 9.0'));
    world.segment('11-1.seg');
    expect(await ps(world.context(), { json: true })).toEqual({ code: 0 });
    expect(world.err).toBe(`cgoprof: warning: ${bad}: a segment of another cgoprof version (ABI 9.0)\n`);
    expect(JSON.parse(world.out)).toHaveLength(1);
  });

  it('of nothing is an empty list, and a hint for people', async () => {
    await ps(world.context(), { json: false });
    expect([world.out, world.err]).toEqual(['', expect.stringContaining('cgoprof run -- COMMAND')]);
    await ps(world.context(), { json: true });
    expect(world.out).toBe('[]\n');
  });
});
