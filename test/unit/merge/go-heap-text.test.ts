import { expect, test } from 'vitest';
import { parseGoHeapText, type TextLimits } from '../../../src/merge/go-heap-text.js';

const TEXT = `heap profile: 3: 3063 [7: 7147] @ heap/1048576
1: 1021 [5: 5105] @ 0x401011 0x402022
#\t0x401010\tmain.leak+0x10\t/srv/main.go:7
#\t0x402021\tmain.main+0x21\t/srv/main.go:11

2: 2042 [2: 2042] @
#\t0x0


# runtime.MemStats
# Alloc = 13
# PauseNs = [1 2 3]
`;

function parse(text: string, limits?: TextLimits) {
  return parseGoHeapText(Buffer.from(text), 'http://service', limits);
}

test('records keep their order, their stacks and their comments; the rate is half of what is written', () => {
  expect(parse(TEXT)).toEqual({
    rate: 524288,
    records: [
      {
        inUse: [1, 1021],
        allocated: [5, 5105],
        stack: ' 0x401011 0x402022',
        comments: '#\t0x401010\tmain.leak+0x10\t/srv/main.go:7\n#\t0x402021\tmain.main+0x21\t/srv/main.go:11\n',
      },
      { inUse: [2, 2042], allocated: [2, 2042], stack: '', comments: '#\t0x0\n' },
    ],
    tail: '# runtime.MemStats\n# Alloc = 13\n# PauseNs = [1 2 3]\n',
  });
});

test('a profile of nothing is one', () => {
  expect(parse('heap profile: 0: 0 [0: 1] @ heap/2\n')).toEqual({ rate: 1, records: [], tail: '' });
});

test.each([
  ['', 'not the text of a Go heap profile'],
  ['<html>\n', 'not the text of a Go heap profile'],
  ['goroutine profile: total 7\n', 'not the text of a Go heap profile'],
  ['heap profile: 1: 1 [1: 1] @ heapz_v2/1\n', 'not the text of a Go heap profile'],
  [TEXT.replace('2: 2042 [', '2: 2042 ['.slice(1)), 'a damaged text of a Go heap profile'],
  [TEXT.replace('0x402022', '0x402022 0x12345678901234567'), 'a damaged text of a Go heap profile'],
  [TEXT.replace('2: 2042 [2', 'MAPPED_LIBRARIES:'), 'a damaged text of a Go heap profile'],
  [`${TEXT}\n# cgoprof: every C allocation was recorded\n`, 'is a merged profile: it holds C memory already'],
])('%j is refused', (text, why) => {
  expect(() => parse(text)).toThrow(`http://service: ${why}`);
});

test('what is too long, or too many, is refused', () => {
  expect(() => parse(TEXT, { maxBytes: TEXT.length - 1, maxRecords: 2 })).toThrow('larger than');
  expect(() => parse(TEXT, { maxBytes: TEXT.length, maxRecords: 1 })).toThrow('more than 1 records');
  expect(parse(TEXT, { maxBytes: TEXT.length, maxRecords: 2 }).records).toHaveLength(2);
});

test('the tail is comments alone', () => {
  expect(parse(`${TEXT}1: 1 [1: 1] @ 0x1\n--- Memory map: ---\n`).tail).toBe(parse(TEXT).tail);
});
