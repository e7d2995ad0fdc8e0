/**
 * The page at /debug/pprof/: the profiles as net/http/pprof lists them, with its words, but for heap and allocs. Their
 * counts there are of buckets ever made, which only grow and are taken for leaks; here they are of call stacks, and how
 * many of them hold memory now is said beside.
 *
 * Source: net/http/pprof/pprof.go (indexTmplExecute, profileDescriptions), Go 1.26.
 */
import { endNote, type FollowedSegment } from '../collect/followed-target.js';
import { fetchUpstreamIndex, type ListedProfile } from '../collect/upstream-index.js';
import { CgoprofError } from '../errors.js';
import { bytesBeforeAttach } from '../merge/c-profile.js';
import { addInt64 } from '../merge/int64.js';
import { attachNotes, segmentNotes } from '../merge/segment-notes.js';
import { cSiteCounts, goSiteCounts, type SiteCounts } from '../merge/site-counts.js';
import type { SegmentHeader } from '../native-binding.js';
import { formatBytes } from '../present/units.js';
import { type Exchange, NO_SNIFF } from './exchange.js';
import { GO_PATIENCE_MS, inTime } from './go-patience.js';
import { Html, html } from './html.js';
import { INDEX_POLICY, INDEX_STYLE } from './index-style.js';
import { ofOneProcess } from './one-process.js';
import type { GoPart, ServedTarget } from './served-target.js';

/** A part of the page, or why it is missing, one clause. */
type Part<T> = T | { readonly missing: string };

interface CSide {
  /** As we see it, while it lives. */
  readonly pid: number;
  readonly header: SegmentHeader;
  readonly counts: SiteCounts;
  readonly hasEnded: boolean;
  /** What a reader must know of it. */
  readonly notes: readonly string[];
}

interface GoSide {
  readonly counts: SiteCounts;
  /** Mean bytes between samples. */
  readonly rate: number;
  readonly takenAt: Date;
}

/** All that is on the page. */
export interface IndexView {
  readonly target: string;
  /** Names of all targets, this one among them. */
  readonly targets: readonly string[];
  readonly c: Part<CSide>;
  readonly go: Part<GoSide>;
  /** The service's own, or why they are not known. */
  readonly listed: Part<readonly ListedProfile[]>;
}

const HEADERS = {
  ...NO_SNIFF,
  'Content-Type': 'text/html; charset=utf-8',
  'Content-Security-Policy': INDEX_POLICY,
};

/**
 * Pages under way: one that was begun already does for whoever asks meanwhile, for it is begun anew should its process
 * change.
 */
const UNDER_WAY = new WeakMap<ServedTarget, Promise<IndexView>>();

/** @param targets All that are served. */
export async function answerIndex(
  exchange: Exchange,
  target: ServedTarget,
  targets: readonly ServedTarget[],
): Promise<void> {
  const names = targets.map(({ name }) => name);
  const view = UNDER_WAY.get(target) ?? look(target, names).finally(() => UNDER_WAY.delete(target));
  UNDER_WAY.set(target, view);
  exchange.send(HEADERS, indexPage(await view));
}

async function look(target: ServedTarget, names: readonly string[]): Promise<IndexView> {
  const parts = await orMissing(() => ofOneProcess(target, (current) => partsOf(target, current)));
  const { c, go, listed } = isMissing(parts) ? { c: parts, go: parts, listed: parts } : parts;
  return { target: target.name, targets: names, c, go, listed };
}

/** Go first, whose numbers the C side is told to be beside. */
async function partsOf(
  target: ServedTarget,
  current: FollowedSegment,
): Promise<Pick<IndexView, 'c' | 'go' | 'listed'>> {
  const [go, listed] = await Promise.all([orMissing(() => goPart(target)), orMissing(() => listedBy(target, current))]);
  const c = await orMissing(() => cSide(target, current, isMissing(go) ? undefined : go));
  return { c, go: isMissing(go) ? go : goSide(go), listed };
}

/** What goes wrong with one part leaves the others. */
async function orMissing<T>(take: () => Promise<Part<T>>): Promise<Part<T>> {
  try {
    return await take();
  } catch (error) {
    if (!(error instanceof CgoprofError)) throw error;
    return { missing: error.hint === '' ? error.message : `${error.message} (${error.hint})` };
  }
}

async function cSide(target: ServedTarget, current: FollowedSegment, go: GoPart | undefined): Promise<CSide> {
  const segment = target.segment(current);
  const { header } = segment;
  const ofGo = go && (await target.goNote(current, segment, go.profile));
  const notes = [endNote(current), ofGo, ...attachNotes(header), ...segmentNotes(segment)];
  return {
    pid: current.found.livePid ?? header.pid,
    header,
    counts: cSiteCounts(segment),
    hasEnded: current.end !== undefined,
    notes: notes.filter((note) => note !== undefined),
  };
}

const NO_SERVICE = 'no service was named with --go';

async function goPart(target: ServedTarget): Promise<Part<GoPart>> {
  if (target.upstream === undefined) return { missing: NO_SERVICE };
  const late = { missing: `the service has not answered within ${GO_PATIENCE_MS / 1000} seconds` };
  const go = await inTime<Part<GoPart> | undefined>(target.goPart({ gc: false }), () => late);
  return go ?? { missing: 'the process has ended, and no profile of its Go side had been taken' };
}

function goSide({ profile, takenAt }: GoPart): GoSide {
  return { counts: goSiteCounts(profile), rate: Number(profile.period), takenAt };
}

async function listedBy({ upstream }: ServedTarget, { end }: FollowedSegment): Promise<Part<readonly ListedProfile[]>> {
  if (upstream === undefined) return { missing: NO_SERVICE };
  if (end !== undefined) return { missing: 'it is not asked any more' };
  return fetchUpstreamIndex(upstream, GO_PATIENCE_MS);
}

// ---- The page ----

export function indexPage(view: IndexView): string {
  const rows = profiles(view);
  return html`<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>/debug/pprof/ of ${view.target}</title>
<style>${new Html(INDEX_STYLE)}</style>
</head>
<body>
<h1>/debug/pprof/</h1>
${whatIsServed(view)}
<p>Set debug=1 as a query parameter to export in legacy text format</p>
<h2>Types of profiles available:</h2>
${profileTable(rows)}
${stackDump(rows)}
<h2>Memory in use</h2>
${memory(view)}
<h2>Profile Descriptions:</h2>
<ul>
${rows.map(({ name, description }) => html`<li><div class=profile-name>${name}: </div> ${description}</li>\n`)}</ul>
</body>
</html>
`.text;
}

function isMissing<T extends object>(part: Part<T>): part is { readonly missing: string } {
  return 'missing' in part;
}

/** Which process it is, and where else to look. */
function whatIsServed({ target, targets, c, listed }: IndexView): Html {
  const program = isMissing(c) ? html`` : html`, process ${c.pid}: <code>${c.header.exePath}</code>`;
  const others = targets.filter((name) => name !== target);
  return html`<p><strong>${target}</strong>${program}</p>
${(isMissing(c) ? [] : c.notes).map((note) => html`<p class="note">${note}</p>\n`)}${
  isMissing(listed) ? html`<p class="note">The service’s own profiles are not listed: ${listed.missing}</p>\n` : html``
}<nav aria-label="Other pages"><a href="/?target=${encodeURIComponent(target)}">Live view</a> <a href="/metrics">Metrics for Prometheus</a></nav>
${others.length === 0 ? html`` : targetList(others)}`;
}

function targetList(others: readonly string[]): Html {
  const link = (name: string) => html`<li><a href="/p/${encodeURIComponent(name)}/debug/pprof/">${name}</a></li>\n`;
  return html`<h2>Other targets</h2>
<ul>
${others.map(link)}</ul>`;
}

interface Row {
  readonly name: string;
  readonly count: Count | undefined;
  readonly description: string;
}

interface Count {
  readonly number: number;
  /** Of which side alone; '' where nothing is missing. */
  readonly of: '' | 'C' | 'Go';
}

const uncounted = (number: number): Count => ({ number, of: '' });

const BOTH_SIDES = 'C’s and Go’s in one profile.';

/** What is answered whether or not there is a service to ask. */
function ownProfiles({ c, go }: IndexView): Row[] {
  const counted = (count: (counts: SiteCounts) => number): Count | undefined => {
    const of = isMissing(go) ? 'C' : isMissing(c) ? 'Go' : '';
    const sides = [c, go].flatMap((side) => (isMissing(side) ? [] : count(side.counts)));
    return sides.length === 0 ? undefined : { number: sides.reduce((sum, one) => sum + one, 0), of };
  };
  const collects =
    !isMissing(c) && c.hasEnded ? '' : ' You can specify the gc GET parameter to run GC before taking the heap sample.';
  return [
    {
      name: 'allocs',
      count: counted(({ sites }) => sites),
      description: `A sampling of all past memory allocations, ${BOTH_SIDES} Counted are the sites that ever allocated: that only grows, and is no leak.`,
    },
    {
      name: 'cmdline',
      count: uncounted(0),
      description: 'The command line invocation of the current program',
    },
    {
      name: 'heap',
      count: counted(({ sitesInUse }) => sitesInUse),
      description: `A sampling of memory allocations of live objects, ${BOTH_SIDES} Counted are the sites that hold memory now.${collects}`,
    },
    {
      name: 'symbol',
      count: uncounted(0),
      description:
        "Maps given program counters to function names. Counters can be specified in a GET raw query or POST body, multiple counters are separated by '+'.",
    },
  ];
}

/** With what the service has beside, sorted as net/http/pprof sorts them. */
function profiles(view: IndexView): Row[] {
  const own = ownProfiles(view);
  const isOwn = ({ name }: Row): boolean => own.some((row) => row.name === name);
  const others = isMissing(view.listed) ? [] : listedRows(view.listed).filter((row) => !isOwn(row));
  return [...own, ...others].sort((a, b) => (a.name < b.name ? -1 : 1));
}

function listedRows(listed: readonly ListedProfile[]): Row[] {
  return listed.map(({ name, count, description }) => ({ name, count: uncounted(count), description }));
}

/** '' where nothing is known. */
function countText(count: Count | undefined): string {
  if (count === undefined) return '';
  return count.of === '' ? `${count.number}` : `${count.number} (${count.of} alone)`;
}

/** Relative, so that it is right below /p/NAME/ too. A name may look like the address of another server. */
function linkTo(name: string): string {
  const path = name.split('/').map(encodeURIComponent).join('/');
  return `${/^[\w-]+(\.[\w-]+)*$/.test(name) ? '' : './'}${path}?debug=1`;
}

function profileTable(rows: readonly Row[]): Html {
  const row = ({ name, count }: Row) =>
    html`<tr><td>${countText(count)}</td><td><a href='${linkTo(name)}'>${name}</a></td></tr>\n`;
  return html`<table>
<thead><tr><th scope="col">Count</th><th scope="col">Profile</th></tr></thead>
<tbody>
${rows.map(row)}</tbody>
</table>`;
}

function stackDump(rows: readonly Row[]): Html {
  if (!rows.some(({ name }) => name === 'goroutine')) return html``;
  return html`<p><a href="goroutine?debug=2">full goroutine stack dump</a></p>`;
}

function memory({ c, go }: IndexView): Html {
  return html`<div class="wide"><table>
<thead><tr><th scope="col">Of</th><th scope="col">Sites that hold memory now</th><th scope="col">Bytes in use</th><th scope="col">Sites ever seen</th></tr></thead>
<tbody>
${memoryRow('C', c, beforeAttachOf(c))}${memoryRow('Go', go, 0)}</tbody>
</table></div>
<p>A site is a call stack that allocates.</p>
<dl>
<dt>Sites that hold memory now</dt>
<dd>Call stacks of which something that they allocated is not freed yet. It goes down when all that a site holds is freed.</dd>
<dt>Bytes in use</dt>
<dd>What those sites hold. ${isMissing(c) ? '' : howExact('C', c.header.sampleRate)} ${beforeAttach(c)} ${goBytes(c, go)}</dd>
<dt>Sites ever seen</dt>
<dd>Call stacks that allocated at any time, also those of which everything is freed. This number only grows: its growth is no leak. ${goBuckets(go)}</dd>
</dl>`;
}

/** @param before Bytes in use beside those of sites. */
function memoryRow(name: string, side: Part<{ readonly counts: SiteCounts }>, before: number): Html {
  if (isMissing(side))
    return html`<tr><th scope="row">${name}</th><td colspan="3">missing: ${side.missing}</td></tr>\n`;
  const { sites, sitesInUse, inUse } = side.counts;
  const bytes = addInt64(inUse.bytes, before);
  const size = Number(bytes) < 1024 ? '' : ` (${formatBytes(Number(bytes))})`;
  return html`<tr><th scope="row">${name}</th><td>${sitesInUse}</td><td>${bytes}${size}</td><td>${sites}</td></tr>\n`;
}

function howExact(name: string, rate: number): string {
  if (rate < 1) return `${name}’s profiling is switched off.`;
  if (rate === 1) return `${name}’s bytes are exact: every allocation is recorded.`;
  return `${name}’s bytes are an estimate from samples, one in about ${formatBytes(rate)}.`;
}

/** Bytes. */
function beforeAttachOf(c: Part<CSide>): number {
  return isMissing(c) ? 0 : (bytesBeforeAttach(c.header) ?? 0);
}

function beforeAttach(c: Part<CSide>): string {
  const bytes = beforeAttachOf(c);
  if (bytes === 0) return '';
  return `Of C’s bytes ${formatBytes(bytes)} were in use before cgoprof was attached: they are of no site, and what of them was freed since is not known.`;
}

function goBytes(c: Part<CSide>, go: Part<GoSide>): Html {
  if (isMissing(go)) return html``;
  const rate = howExact('Go', go.rate);
  if (!isMissing(c) && c.hasEnded) {
    return html`${rate} Go’s are those of the last profile that was fetched, at ${go.takenAt.toISOString()}.`;
  }
  return html`${rate} Go tells what was in use at its last garbage collection; <a href="heap?gc=1">heap?gc=1</a> has it collect first.`;
}

function goBuckets(go: Part<GoSide>): string {
  if (isMissing(go)) return '';
  return `The service’s own page shows such a number beside heap and allocs, one for each call stack and size of block: ${go.counts.buckets}.`;
}
