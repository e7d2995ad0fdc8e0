import { expect, test } from 'vitest';
import { parseUint64 } from '../../../src/serve/go-integers.js';

// What strconv.ParseUint(text, 0, 64) of Go 1.26 says.
test.each([
  ['0', 0n],
  ['17', 17n],
  ['0x1F', 31n],
  ['0Xff', 255n],
  ['0b101', 5n],
  ['0o17', 15n],
  ['017', 15n],
  ['0_17', 15n],
  ['1_000', 1000n],
  ['0x_f_f', 255n],
  ['0xffffffffffffffff', 2n ** 64n - 1n],
  ['18446744073709551615', 2n ** 64n - 1n],
])('%s is %d', (text, value) => expect(parseUint64(text)).toBe(value));

test.each([
  '',
  ' 1',
  '1\n',
  '08',
  '0x',
  '0b',
  '0b2',
  '1__0',
  '1_',
  '_1',
  '-1',
  '+1',
  '1e3',
  '0x1g',
  '0x10000000000000000',
])('%j is none', (text) => expect(parseUint64(text)).toBeUndefined());
