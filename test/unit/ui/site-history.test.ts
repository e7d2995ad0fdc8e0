import { describe, expect, it } from 'vitest';
import type { LiveSite } from '../../../src/serve/live-state.js';
import { SiteHistory } from '../../../src/ui/site-history.js';

const MINUTE = 60_000;
const START = 1_000_000;

const site = (name: string, bytes: number, line = 1): LiveSite => ({
  function: name,
  file: 'a.c',
  line,
  via: '',
  bytes,
  low: bytes,
  high: bytes,
});

/** A look at which all sites are told of. */
const whole = (...sites: LiveSite[]) => ({ sites, siteCount: sites.length });

describe('SiteHistory', () => {
  it('tells changes since the first look, and since some minutes ago', () => {
    const history = new SiteHistory();
    for (const [minute, bytes] of [
      [0, 2],
      [4, 3],
      [6, 5],
      [8, 7],
    ] as const) {
      history.add(START + minute * MINUTE, 'a', whole(site('f', bytes)));
    }
    expect(history.change(site('f', 7), undefined)).toBe(5);
    expect(history.change(site('f', 7), 5 * MINUTE)).toBe(4);
    expect(history.since(5 * MINUTE)).toBe(START + 4 * MINUTE);
    expect(history.since(undefined)).toBe(START);
  });

  it('remembers the first look for longer than an hour, others not', () => {
    const history = new SiteHistory();
    for (const [minute, bytes] of [
      [0, 2],
      [10, 3],
      [75, 5],
    ] as const) {
      history.add(START + minute * MINUTE, 'a', whole(site('f', bytes)));
    }
    expect(history.change(site('f', 5), undefined)).toBe(3);
    expect(history.since(60 * MINUTE)).toBe(START + 75 * MINUTE);
    expect(history.since(Number.POSITIVE_INFINITY)).toBe(START + 75 * MINUTE);
  });

  it('remembers a look of just an hour ago', () => {
    const history = new SiteHistory();
    for (const minute of [0, 10, 70]) history.add(START + minute * MINUTE, 'a', whole(site('f', minute)));
    expect(history.since(60 * MINUTE)).toBe(START + 10 * MINUTE);
    expect(history.change(site('f', 70), 60 * MINUTE)).toBe(60);
  });

  it('takes a site that was not there for one that held nothing, if all were told of', () => {
    const history = new SiteHistory();
    history.add(START, 'a', whole(site('f', 2)));
    history.add(START + MINUTE, 'a', whole(site('f', 2), site('g', 3)));
    expect(history.change(site('g', 3), undefined)).toBe(3);
  });

  it('does not know the change of a site that was not told of', () => {
    const history = new SiteHistory();
    history.add(START, 'a', { sites: [site('f', 2)], siteCount: 2 });
    expect(history.change(site('g', 3), undefined)).toBeUndefined();
  });

  it('tells lines of one function apart', () => {
    const history = new SiteHistory();
    history.add(START, 'a', whole(site('f', 2, 10), site('f', 3, 11)));
    expect(history.change(site('f', 3, 10), undefined)).toBe(1);
  });

  it('tells calls of one line apart', () => {
    const history = new SiteHistory();
    const [string, block] = [
      { ...site('f', 2), via: 'C.CString' },
      { ...site('f', 5), via: 'C.malloc' },
    ];
    history.add(START, 'a', whole(string, block));
    expect(history.change({ ...string, bytes: 3 }, undefined)).toBe(1);
  });

  it('begins anew with another process', () => {
    const history = new SiteHistory();
    history.add(START, 'a', whole(site('f', 2)));
    history.add(START + MINUTE, 'b', whole(site('f', 3)));
    expect(history.change(site('f', 3), undefined)).toBe(0);
    expect(history.since(undefined)).toBe(START + MINUTE);
  });
});
