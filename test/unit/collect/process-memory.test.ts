import { describe, expect, it, onTestFinished } from 'vitest';
import { parseProcessMemory, readProcessMemory } from '../../../src/collect/process-memory.js';
import { FakeWorld } from '../../support/fake-world.js';

const STATUS =
  'Name:\tapp\nVmRSS:\t    1009 kB\nRssAnon:\t     503 kB\nRssFile:\t     401 kB\nRssShmem:\t     105 kB\n';
const MEMORY = { resident: 1009 * 1024, anonymous: 503 * 1024, file: 401 * 1024, shared: 105 * 1024 };

describe('parseProcessMemory', () => {
  it('takes kilobytes', () => expect(parseProcessMemory(STATUS)).toEqual(MEMORY));

  // Linux escapes line feeds in the name, and nothing else that some would take for the end of a line.
  it.each(['VmRSS: 1 kB', '\rVmRSS: 1 kB', '\x85VmRSS: 1 kB', '\x0bVmRSS: 1 kB'])(
    'a name that says %j is no number',
    (name) => expect(parseProcessMemory(STATUS.replace('app', name))).toEqual(MEMORY),
  );

  it.each([
    ['a line is missing, as in a kernel’s thread', STATUS.replace(/RssFile.*\n/, '')],
    ['there are no lines', ''],
    ['a number is none', STATUS.replace('1009', '-1')],
    ['a number has another unit', STATUS.replace('1009 kB', '1009 MB')],
    ['a number is beyond all memory', STATUS.replace('1009', '999999999999999')],
    ['a number has too many digits', STATUS.replace('1009', '9'.repeat(400))],
  ])('nothing where %s', (_, status) => expect(parseProcessMemory(status)).toBeUndefined());
});

describe('readProcessMemory', () => {
  it('of a process that runs', () => {
    const { resident, anonymous, file, shared } = readProcessMemory('/proc', process.pid) ?? {};
    expect(resident).toBeGreaterThan(2 ** 20);
    expect(anonymous).toBeGreaterThan(2 ** 20);
    expect(file).toBeGreaterThan(2 ** 20);
    expect(shared).toBeGreaterThanOrEqual(0);
  });

  it('nothing of one that has ended', () => {
    const world = new FakeWorld();
    onTestFinished(() => world.remove());
    expect(readProcessMemory(world.procRoot, 77)).toBeUndefined();
  });
});
