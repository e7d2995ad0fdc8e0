import { describe, expect, it } from 'vitest';
import type { SegmentHeader, SegmentState } from '../../../src/native-binding.js';
import { processRow, psTable } from '../../../src/present/ps-table.js';
import { formatTime } from '../../../src/present/units.js';
import { segmentHeader } from '../../support/segment-fixture.js';

const found = (header: Partial<SegmentHeader>, livePid?: number) => ({
  path: `/dev/shm/cgoprof-0/${header.pid}-1.seg`,
  header: segmentHeader(header),
  livePid,
});

describe('processRow', () => {
  it.each<[SegmentState, boolean, string]>([
    ['running', true, 'running'],
    ['paused', true, 'paused'],
    ['starting', true, 'starting'],
    ['exited', true, 'exiting'],
    ['running', false, 'died'],
    ['paused', false, 'died'],
    ['starting', false, 'died'],
    ['exited', false, 'exited'],
  ])('calls a process whose segment says %s and whose being alive is %s %s', (state, alive, expected) => {
    expect(processRow(found({ pid: 5, state }, alive ? 5 : undefined)).state).toBe(expected);
  });

  it('is plain data', () => {
    const { counters } = segmentHeader();
    const row = processRow(
      found(
        {
          pid: 1,
          sampleRate: 524288,
          createdUnixNs: 1_700_000_000_123_456_789n,
          counters: { ...counters, droppedLive: 3 },
          samples: 101,
          liveSamples: 97,
        },
        6000,
      ),
    );
    expect(JSON.parse(JSON.stringify(row))).toEqual({
      pid: 6000,
      state: 'running',
      started: '2023-11-14T22:13:20.123Z',
      rate: 524288,
      samples: 101,
      live: 97,
      memoryBytes: 4096,
      command: '/srv/app',
      segment: '/dev/shm/cgoprof-0/1-1.seg',
      losses: { droppedLive: 3 },
      attachments: 0,
      attached: null,
    });
  });

  it('tells when and how often the library was attached', () => {
    const row = processRow(found({ pid: 5, attachments: 3, attachedUnixNs: 1_700_000_000_123_456_789n }, 5));
    expect(row).toMatchObject({ attachments: 3, attached: '2023-11-14T22:13:20.123Z' });
  });

  it('calls a process paused that was told to and has not allocated since', () => {
    expect(processRow(found({ pid: 5, wish: 'pause' }, 5)).state).toBe('paused');
    expect(processRow(found({ pid: 5, wish: 'pause' })).state).toBe('died');
  });
});

it('psTable lines up and tells losses', () => {
  const { counters } = segmentHeader();
  const start = formatTime(new Date(1_700_000_000_000));
  const table = psTable([
    processRow(
      found({ pid: 7, exePath: '/srv/a b', samples: 5, counters: { ...counters, missedFrees: 2, lostModules: 1 } }),
    ),
    processRow(found({ pid: 12345, exePath: '/srv/evil\n\x1b[2J', committedBytes: 3 * 2 ** 20 }, 12345)),
  ]);
  expect(table.split('\n')).toEqual([
    '  PID  STATE    START                RATE  SAMPLES  LIVE    MEM  COMMAND        SEGMENT',
    `    7  died     ${start}     1        5     0  4 KiB  /srv/a b       /dev/shm/cgoprof-0/7-1.seg`,
    '  missedFrees 2, lostModules 1',
    `12345  running  ${start}     1        0     0  3 MiB  /srv/evil [2J  /dev/shm/cgoprof-0/12345-1.seg`,
    '',
  ]);
});
