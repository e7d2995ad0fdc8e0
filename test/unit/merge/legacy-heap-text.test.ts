import { expect, test } from 'vitest';
import { cProfile } from '../../../src/merge/c-profile.js';
import { type GoTextRecord, parseGoHeapText } from '../../../src/merge/go-heap-text.js';
import { legacyHeapText } from '../../../src/merge/legacy-heap-text.js';
import { scaleHeapSample } from '../../../src/merge/scale-heap-sample.js';
import { type SegmentTable, symbolizedSegment } from '../../support/segment-fixture.js';

const c = (table: SegmentTable) => cProfile(symbolizedSegment(table), { showPlumbing: false });

const LEAK = { allocs: 5, allocBytes: 5 * 1009, frees: 2, freeBytes: 2 * 1009 };
const STACK = ['lib:leak@/src/leak.c:7', 'main._Cfunc_leak@_cgo_gotypes.go:13', 'main.main@/src/main.go:11'];

function go(rate: number, records: readonly Partial<GoTextRecord>[], tail = '') {
  const empty: GoTextRecord = { inUse: [0, 0], allocated: [0, 0], stack: '', comments: '' };
  return { rate, records: records.map((record) => ({ ...empty, ...record })), tail };
}

/** First lines of the records. */
const records = (text: string) => text.split('\n').filter((line) => /^\d+: \d+ \[/.test(line));

test('both sides in one text', () => {
  const service = go(
    1,
    [{ inUse: [2, 2042], allocated: [3, 3063], stack: ' 0x401011', comments: '#\t0x401010\tmain.f+0x10\t/f.go:7\n' }],
    '# runtime.MemStats\n# Alloc = 13\n',
  );
  const text = legacyHeapText({
    go: service,
    profiles: [c({ buckets: [{ ...LEAK, stack: STACK }] })],
    notes: ['note'],
  });
  expect(text).toBe(`heap profile: 5: 5069 [8: 8108] @ heap/2
2: 2042 [3: 3063] @ 0x401011
#\t0x401010\tmain.f+0x10\t/f.go:7

3: 3027 [5: 5045] @ 0x7f0000001010 0x401020 0x401030
#\t0x7f000000100f\tleak\t\t\t/src/leak.c:7
#\t0x40101f\tmain._Cfunc_leak\t_cgo_gotypes.go:13
#\t0x40102f\tmain.main\t\t/src/main.go:11


# runtime.MemStats
# Alloc = 13

# cgoprof: note
# cgoprof: every C allocation was recorded
# cgoprof: every Go allocation was recorded
# cgoprof: values are those of the merged profile: nothing is left to scale
`);
});

test('each side is scaled by its own rate', () => {
  const service = go(65536, [{ inUse: [2, 2042], allocated: [3, 3063] }]);
  const text = legacyHeapText({
    go: service,
    profiles: [c({ rate: 4096, buckets: [{ ...LEAK, stack: STACK }] })],
    notes: [],
  });
  const scaled = (blocks: number, bytes: number, rate: number) => scaleHeapSample(blocks, bytes, rate).join(': ');
  const expected = [
    `${scaled(3, 3027, 4096)} [${scaled(5, 5045, 4096)}] @ 0x7f0000001010 0x401020 0x401030`,
    `${scaled(2, 2042, 65536)} [${scaled(3, 3063, 65536)}] @`,
  ];
  expect(records(text)).toEqual(expected);
  expect(text).toMatch(/^heap profile: .* @ heap\/2\n/);
  expect(text).toContain('# cgoprof: Go allocations were sampled once per 65536 bytes on average\n');
});

test('records are in the order of the service’s Go', () => {
  const profiles = [c({ buckets: [{ ...LEAK, stack: STACK }] })];
  const text = (bytes: readonly number[]) =>
    records(
      legacyHeapText({
        go: go(
          1,
          bytes.map((size) => ({ inUse: [1, size], allocated: [1, size] })),
        ),
        profiles,
        notes: [],
      }),
    );
  const sizes = (lines: readonly string[]) => lines.map((line) => Number(/^\d+: (\d+)/.exec(line)?.[1]));
  expect(sizes(text([7, 5003]))).toEqual([7, 3027, 5003]);
  expect(sizes(text([5003, 7]))).toEqual([5003, 3027, 7]);
  expect(sizes(text([7]))).toEqual([7, 3027]);
});

test('the reader is never led to take it for a text of two columns', () => {
  const none = legacyHeapText({ go: undefined, profiles: [c({ buckets: [] })], notes: [] });
  expect(none).toMatch(/^heap profile: 0: 0 \[0: 1\] @ heap\/2\n/);
  const held = c({ buckets: [{ allocs: 3, allocBytes: 3027, stack: STACK }] });
  expect(legacyHeapText({ go: undefined, profiles: [held], notes: [] })).toMatch(
    /^heap profile: 3: 3027 \[3: 3028\] @/,
  );
});

test('bytes of unknown objects are one object’s, and say so', () => {
  const attached = c({ buckets: [], header: { attachments: 1, beforeAttachBytes: 7919 } });
  const text = legacyHeapText({ go: undefined, profiles: [attached], notes: [] });
  expect(text).toContain(`1: 7919 [1: 7919] @ 0x4000000000000005
# cgoprof: counted as one object: how many they are is not known
#\t0x4000000000000004\t[allocated before attach]

`);
});

test('what pprof would cut is not in the stack, but for people to read', () => {
  const stack = [
    'lib:leak@/src/leak.c:7',
    'main.f.func1@/f.go:7',
    'runtime.deferreturn@/panic.go:13',
    'main.f@/f.go:11',
  ];
  const text = legacyHeapText({ go: undefined, profiles: [c({ buckets: [{ ...LEAK, stack }] })], notes: [] });
  expect(records(text)).toEqual(['3: 3027 [5: 5045] @ 0x7f0000001010 0x401020 0x401040']);
  expect(text).toContain('runtime.deferreturn\t/panic.go:13\n');
});

test('names from a target forge no line, and no line is too long to be read', () => {
  const name = `evil\n9: 9 [9: 9] @ 0x9\r\n--- Memory map: ---${'x'.repeat(70000)}`;
  const text = legacyHeapText({
    go: undefined,
    profiles: [c({ buckets: [{ ...LEAK, stack: [name] }] })],
    notes: ['a\nb'],
  });
  expect(records(text)).toHaveLength(1);
  expect(text).toContain('# cgoprof: a b\n');
  expect(Math.max(...text.split('\n').map((line) => Buffer.byteLength(line)))).toBeLessThan(65536);
});

test('is read back as what went into it', () => {
  const service = go(1, [{ inUse: [2, 2042], allocated: [3, 3063], stack: ' 0x401011', comments: '#\t0x401010\n' }]);
  const text = legacyHeapText({ go: service, profiles: [], notes: [] });
  const withoutOurs = text.replace(/^# cgoprof: .*\n/gm, '');
  expect(parseGoHeapText(Buffer.from(withoutOurs), 'text')).toEqual(service);
});
