import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { isRequested, makeRequest, requestPath, withdrawRequest } from '../../../src/control/request-file.js';
import { FakeWorld } from '../../support/fake-world.js';

const OWN = process.getuid?.() ?? 0;
const NOBODY = 65534;

let world: FakeWorld;
let directory: string;
beforeEach(() => {
  world = new FakeWorld();
  directory = world.path(`shm/cgoprof-${OWN}`);
});
afterEach(() => world.remove());

const request = (rate?: number): void => makeRequest(world.context(), 10, rate);
const mode = (path: string): number => statSync(path).mode & 0o7777;

describe('a request', () => {
  it('is a file of the rate, in the directory of the segments, which is made', () => {
    world.process(10, { start: 77 });
    expect(isRequested(world.context(), 10)).toBe(false);
    const umask = process.umask(0o777);
    try {
      mkdirSync(directory);
      chmodSync(directory, 0o700);
      request(4096);
    } finally {
      process.umask(umask);
    }
    const path = `${directory}/10-77.on`;
    expect(readFileSync(path, 'utf8')).toBe('4096\n');
    expect(mode(path)).toBe(0o600);
    expect(isRequested(world.context(), 10)).toBe(true);
    expect(requestPath(world.context(), 10)).toBe(`${world.procRoot}/10/root${path}`);
  });

  it('makes the directory for its user alone', () => {
    world.process(10);
    request();
    expect(mode(directory)).toBe(0o700);
  });

  it('has the pid by which the process knows itself', () => {
    world.process(10, { start: 77, innerPid: 3 });
    request();
    expect(existsSync(`${directory}/3-77.on`)).toBe(true);
  });

  it('has the uid by which the process knows itself', () => {
    world.process(10);
    world.write('proc/10/uid_map', `         0     ${OWN + 50_000}      7\n      1000      ${OWN}     65536\n`);
    request();
    expect(existsSync(world.path('shm/cgoprof-1000/10-1.on'))).toBe(true);
  });

  it('takes the rate that the process was started with where none is given', () => {
    world.process(10, { environ: ['CGOPROF_RATE=1MiB'] });
    request();
    expect(readFileSync(`${directory}/10-1.on`, 'utf8')).toBe('1048576\n');
    world.process(10, { environ: ['CGOPROF_RATE=nonsense'] });
    request();
    expect(readFileSync(`${directory}/10-1.on`, 'utf8')).toBe('524288\n');
  });

  it('goes where CGOPROF_DIR of the process leads, if that is absolute', () => {
    mkdirSync(world.path('own'), { mode: 0o700 });
    world.process(10, { environ: [`CGOPROF_DIR=${world.path('own')}`] });
    request();
    expect(existsSync(world.path('own/10-1.on'))).toBe(true);
    world.process(10, { environ: ['CGOPROF_DIR=own'] });
    request();
    expect(existsSync(`${directory}/10-1.on`)).toBe(true);
  });

  it('takes the place of an old one, and of a link that somebody put there', () => {
    world.process(10);
    request(1);
    request(2);
    expect(readFileSync(`${directory}/10-1.on`, 'utf8')).toBe('2\n');
    rmSync(`${directory}/10-1.on`);
    const victim = world.write('victim', 'as it was');
    for (const name of ['10-1.on', '10-1.on.new']) symlinkSync(victim, `${directory}/${name}`);
    request(3);
    expect(readdirSync(directory)).toEqual(['10-1.on']);
    expect(readFileSync(`${directory}/10-1.on`, 'utf8')).toBe('3\n');
    expect(readFileSync(victim, 'utf8')).toBe('as it was');
  });

  it('can be withdrawn, once or twice', () => {
    world.process(10);
    request();
    withdrawRequest(world.context(), 10);
    expect(isRequested(world.context(), 10)).toBe(false);
    withdrawRequest(world.context(), 10);
  });
});

describe('nothing is written', () => {
  const why = /^pid 10: no request can be left for it in /;

  it('into a directory that others may use', () => {
    world.process(10);
    mkdirSync(directory);
    chmodSync(directory, 0o750);
    expect(() => request()).toThrow(
      expect.objectContaining({
        message: `pid 10: no request can be left for it in ${directory}: it is not a directory of its user’s alone`,
        hint: expect.stringContaining('mode 700'),
      }),
    );
  });

  it.runIf(OWN === 0)('into a directory of somebody else', () => {
    world.process(10, { status: { Uid: `${NOBODY}\t${NOBODY}`, Gid: `${NOBODY}\t${NOBODY}` } });
    chmodSync(world.root, 0o755);
    mkdirSync(world.path(`shm/cgoprof-${NOBODY}`), { mode: 0o700 });
    expect(() => request()).toThrow('it is not a directory of its user’s alone');
  });

  it('through a link', () => {
    world.process(10);
    mkdirSync(world.path('elsewhere'), { mode: 0o700 });
    symlinkSync(world.path('elsewhere'), directory);
    expect(() => request()).toThrow(why);
    rmSync(directory);
    rmSync(world.shmRoot, { recursive: true });
    symlinkSync(world.path('elsewhere'), world.shmRoot);
    expect(() => request()).toThrow(why);
    expect(existsSync(world.path(`elsewhere/cgoprof-${OWN}`))).toBe(false);
  });

  it('where there is a file instead of the directory, or nothing above it', () => {
    world.process(10);
    writeFileSync(directory, '');
    expect(() => request()).toThrow(why);
    rmSync(world.shmRoot, { recursive: true });
    expect(() => request()).toThrow(why);
  });

  it('for a process that has ended', () => {
    expect(() => request()).toThrow('pid 10: no such process: it has ended');
  });
});

it.runIf(OWN === 0)('root leaves it as the user of the process', () => {
  world.process(10, { status: { Uid: `0\t${NOBODY}\t0\t0`, Gid: `0\t${NOBODY}\t0\t0` } });
  chmodSync(world.root, 0o711);
  chmodSync(world.shmRoot, 0o1777);
  const before = [process.geteuid?.(), process.getegid?.(), process.getgroups?.()];
  request();
  const made = world.path(`shm/cgoprof-${NOBODY}`);
  for (const [path, bits] of [
    [made, 0o700],
    [`${made}/10-1.on`, 0o600],
  ] as const) {
    const { uid, gid } = statSync(path);
    expect([uid, gid, mode(path)]).toEqual([NOBODY, NOBODY, bits]);
  }
  expect([process.geteuid?.(), process.getegid?.(), process.getgroups?.()]).toEqual(before);
});
