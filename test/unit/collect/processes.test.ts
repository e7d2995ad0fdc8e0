import { symlinkSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  bootId,
  commandOf,
  isAlive,
  listPids,
  livingProcesses,
  parseStat,
  readStat,
  statusField,
} from '../../../src/collect/processes.js';
import { FakeWorld } from '../../support/fake-world.js';

let world: FakeWorld;
beforeEach(() => {
  world = new FakeWorld();
});
afterEach(() => world.remove());

describe('parseStat', () => {
  const rest =
    'S 1 4711 4711 34816 4712 4194560 120 0 0 0 1 2 0 0 20 0 5 0 987654321 1000 200 18446744073709551615 4194304 5292605 140722075119104 0 0';

  it.each(['server', 'a b', '(x) R 1 2', ':-) Z 3', 'two\nlines'])('counts fields after the name %j', (name) => {
    expect(parseStat(`99 (${name}) ${rest}`)).toEqual({
      state: 'S',
      parent: 1,
      processGroup: 4711,
      foregroundGroup: 4712,
      isKernelThread: false,
      startTimeTicks: 987654321n,
      image: '4194304 5292605 140722075119104',
    });
  });

  it.each(['', '99 (x)', '99 (x) S 1 2 3', `99 (x) ${rest.replace('987654321', 'soon')}`])('refuses %j', (text) => {
    expect(parseStat(text)).toBeUndefined();
  });

  it('reads our own', () => {
    const own = readStat('/proc', 'self');
    expect(own?.state).toBe('R');
    expect(readStat('/proc', process.pid)?.startTimeTicks).toBe(own?.startTimeTicks);
  });
});

describe('processes of a proc file system', () => {
  it('are those that have not ended', () => {
    world.process(10);
    world.process(11, { state: 'Z' });
    world.process(12, { state: 'X' });
    expect([10, 11, 12, 13].map((pid) => isAlive(world.procRoot, pid))).toEqual([true, false, false, false]);
    expect(listPids(world.procRoot).sort()).toEqual([10, 11, 12]);
  });

  it('are known by their own pid and start time', () => {
    world.process(10, { start: 7, name: 'a) Z (b' });
    world.process(5000, { start: 8, innerPid: 1 });
    world.process(11, { start: 9, state: 'Z' });
    expect([...livingProcesses(world.procRoot)].sort()).toEqual([
      ['1-8', 5000],
      ['10-7', 10],
    ]);
  });

  it('are found without NSpid too, as before Linux 4.1', () => {
    world.process(10, { start: 7 });
    world.write('proc/10/status', 'Name:\tserver\n');
    expect(livingProcesses(world.procRoot).get('10-7')).toBe(10);
  });

  it('say in their status whatever it says', () => {
    world.process(10, { innerPid: 3, status: { Uid: '1\t2\t3\t4' } });
    expect(statusField(world.procRoot, 10, 'Uid')).toEqual(['1', '2', '3', '4']);
    expect(statusField(world.procRoot, 10, 'NSpid')).toEqual(['10', '3']);
    expect(statusField(world.procRoot, 10, 'Ui')).toBeUndefined();
    expect(statusField(world.procRoot, 11, 'Uid')).toBeUndefined();
  });

  it('are named by their executable, or as they name themselves', () => {
    world.process(10);
    expect(commandOf(world.procRoot, 10)).toBe('');
    world.write('proc/10/comm', 'serv\ner\n');
    expect(commandOf(world.procRoot, 10)).toBe('serv er');
    symlinkSync('/srv/server (deleted)', world.path('proc/10/exe'));
    expect(commandOf(world.procRoot, 10)).toBe('/srv/server');
  });

  it('of the kernel are told from others', () => {
    world.process(2, { flags: 0x0020_8040 });
    world.process(10, { flags: 0x0040_0000 });
    expect([2, 10].map((pid) => readStat(world.procRoot, pid)?.isKernelThread)).toEqual([true, false]);
  });

  it('tell the boot', () => {
    expect(bootId(world.procRoot)).toBe('00112233445566778899aabbccddeeff');
    expect(bootId(world.path('nowhere'))).toBe('');
  });
});
