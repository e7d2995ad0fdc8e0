// Expected values: what url.ParseQuery of Go 1.26 makes of the same text.
import { expect, test } from 'vitest';
import { parseGoQuery } from '../../../src/serve/go-query.js';

test.each([
  ['', []],
  ['?a=1', [['a', '1']]],
  ['?a', [['a', '']]],
  ['?a=', [['a', '']]],
  ['?=1', [['', '1']]],
  ['?a=1=2', [['a', '1=2']]],
  [
    '?a=1&&b=2',
    [
      ['a', '1'],
      ['b', '2'],
    ],
  ],
  [
    '?a=1&a=2',
    [
      ['a', '1'],
      ['a', '2'],
    ],
  ],
  ['?a=1;b=2', []],
  ['?a=1;b=2&c=3', [['c', '3']]],
  ['?a=%zz&b=2', [['b', '2']]],
  ['?%zz=1&b=2', [['b', '2']]],
  ['?a=%2&b=%', []],
  [
    '?a=1+2&b=1%2B2',
    [
      ['a', '1 2'],
      ['b', '1+2'],
    ],
  ],
  [
    '?a=%C3%A9&b=%26',
    [
      ['a', 'é'],
      ['b', '&'],
    ],
  ],
  ['?s%65conds=1', [['seconds', '1']]],
])('%s', (search, pairs) => {
  expect([...parseGoQuery(search)]).toEqual(pairs);
});
