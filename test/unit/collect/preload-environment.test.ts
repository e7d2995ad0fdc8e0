import { mkdirSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { preloadVariables, runEnvironment } from '../../../src/collect/preload-environment.js';
import { FakeWorld } from '../../support/fake-world.js';

let world: FakeWorld;
beforeEach(() => {
  world = new FakeWorld();
});
afterEach(() => world.remove());

const settings = { rate: 524288, profile: 'go', follow: false };
const run = { ...settings, runId: 'abc', keep: false };
const environment = (env: Record<string, string | undefined>, overrides = {}) =>
  runEnvironment(world.context({ env }), { ...run, ...overrides });

describe('preloadVariables', () => {
  it('are three, in order', () => {
    expect(Object.entries(preloadVariables(world.context(), settings))).toEqual([
      ['LD_PRELOAD', world.libraryPath],
      ['CGOPROF_RATE', '524288'],
      ['CGOPROF_PROFILE', 'go'],
    ]);
  });

  it('and CGOPROF_FOLLOW on demand', () => {
    const variables = preloadVariables(world.context(), { rate: 1, profile: 'my-server', follow: true });
    expect(variables).toMatchObject({ CGOPROF_RATE: '1', CGOPROF_PROFILE: 'my-server', CGOPROF_FOLLOW: '1' });
  });

  it('need a library', () => {
    expect(() => preloadVariables(world.context({ libraryPath: '/nowhere/libcgoprof.so' }), settings)).toThrow(
      expect.objectContaining({
        message: '/nowhere/libcgoprof.so: the preload library is not built',
        hint: 'Run npm run build in the cgoprof directory.',
      }),
    );
  });

  it.each(['my lib', 'a:b'])('need it where LD_PRELOAD can name it, not in %j', (directory) => {
    mkdirSync(world.path(directory));
    const libraryPath = world.path(`${directory}/libcgoprof.so`);
    writeFileSync(libraryPath, '');
    expect(() => preloadVariables(world.context({ libraryPath }), settings)).toThrow(/with a space or a colon/);
  });
});

describe('runEnvironment', () => {
  it('keeps what there is and adds ours', () => {
    expect(environment({ PATH: '/bin', EMPTY: '', GONE: undefined })).toEqual({
      PATH: '/bin',
      EMPTY: '',
      LD_PRELOAD: world.libraryPath,
      CGOPROF_RATE: '524288',
      CGOPROF_PROFILE: 'go',
      CGOPROF_RUN_ID: 'abc',
    });
  });

  it('puts ours before what the user preloads, once', () => {
    const ours = world.libraryPath;
    const preload = (text: string) => environment({ LD_PRELOAD: text }).LD_PRELOAD;
    expect(preload('/usr/lib/libjemalloc.so.2')).toBe(`${ours}:/usr/lib/libjemalloc.so.2`);
    expect(preload(`/a.so ${ours}  /b.so:`)).toBe(`${ours}:/a.so:/b.so`);
    expect(preload('')).toBe(ours);
  });

  it('replaces what an outer cgoprof left, but not where segments go', () => {
    const outer = { CGOPROF_RUN_ID: 'old', CGOPROF_FOLLOW: '1', CGOPROF_RATE: '1', CGOPROF_DIR: '/d' };
    const env = environment(outer);
    expect(env).toMatchObject({ CGOPROF_RUN_ID: 'abc', CGOPROF_RATE: '524288', CGOPROF_DIR: '/d' });
    expect(env).not.toHaveProperty('CGOPROF_FOLLOW');
  });

  it('has segments kept on demand, ours or the user’s', () => {
    expect(environment({}, { keep: true })).toMatchObject({ CGOPROF_KEEP: '1' });
    expect(environment({ CGOPROF_KEEP: '1' })).toMatchObject({ CGOPROF_KEEP: '1' });
    expect(environment({})).not.toHaveProperty('CGOPROF_KEEP');
  });
});
