// What docs/serve.md says a client may take is what the code has: neither changes without the other.
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { MAX_CONNECTIONS, MAX_HEADER_SIZE, PATIENCE } from '../../../src/serve/listen.js';
import { MAX_PIPELINED } from '../../../src/serve/server.js';
import { MAX_ASKED, MAX_ASKED_MS, MAX_TEXT } from '../../../src/serve/symbol.js';
import { MAX_ADDRESSES, MAX_BODIES, MAX_BODY, SLOW_MS } from '../../../src/serve/symbol-question.js';
import { SNAPSHOTS } from '../../../src/serve/turns.js';
import { MAX_BYTES } from '../../../src/serve/unread.js';

const page = readFileSync(new URL('../../../docs/serve.md', import.meta.url), 'utf8');
const [, table = ''] = /^What a client may take [^|]*\n((?:\|.*\n)+)/m.exec(page) ?? [];

/** What a row is about, and its numbers with their units, but for status codes. */
const rows = table
  .trim()
  .split('\n')
  .slice(2)
  .map((row): [string, string[]] => {
    const [, subject = ''] = /^\| ([^,|]+)/.exec(row) ?? [];
    return [
      subject.trim(),
      row.match(/\b\d[\d,]*( ([KM]iB|s)\b)?/g)?.filter((number) => !/^[45]\d\d$/.test(number)) ?? [],
    ];
  });

const count = (value: number): string => value.toLocaleString('en');
const kib = (bytes: number): string => `${bytes / 2 ** 10} KiB`;
const mib = (bytes: number): string => `${bytes / 2 ** 20} MiB`;
const seconds = (ms: number): string => `${ms / 1000} s`;

test('the table of bounds has the numbers of the code', () => {
  const { headersTimeout, requestTimeout, keepAliveTimeout, stalled } = PATIENCE;
  expect(Object.fromEntries(rows)).toEqual({
    'head of a request': [kib(MAX_HEADER_SIZE), seconds(headersTimeout)],
    'request with its body': [seconds(requestTimeout)],
    'connection without a request': [seconds(keepAliveTimeout)],
    "the service's own pages": [],
    'client that takes nothing of an answer': [count(stalled / 1000), seconds(2 * stalled), seconds(stalled)],
    connections: [count(MAX_CONNECTIONS)],
    'requests of one connection whose answers are outstanding': [count(MAX_PIPELINED)],
    'snapshots that are read': [count(SNAPSHOTS.atOnce), seconds(SNAPSHOTS.maxWaitMs)],
    'names asked for by POST': [mib(MAX_BODY), count(MAX_BODIES), seconds(SLOW_MS), count(MAX_BODIES)],
    'names looked up': [count(MAX_ADDRESSES), mib(MAX_TEXT), count(MAX_ASKED), seconds(MAX_ASKED_MS)],
    'answers that clients have not yet read': [mib(MAX_BYTES)],
  });
});
