/**
 * Which profiles a service has, as the index page of its net/http/pprof lists them.
 *
 * Source: net/http/pprof/pprof.go (indexTmplExecute), Go 1.26; before 1.17 html/template wrote the page.
 */
import type { IncomingMessage } from 'node:http';
import { CgoprofError, oneLine } from '../errors.js';
import { isPageName, type Upstream } from './upstream.js';

export interface ListedProfile {
  readonly name: string;
  readonly count: number;
  /** '' where there is none. */
  readonly description: string;
}

/** The page is composed by the service without much work. */
const TIMEOUT_MS = 5_000;

/** Go's page has two kilobytes and a half. */
const MAX_BYTES = 2 ** 18;

const MAX_PROFILES = 256;

/** @throws CgoprofError */
export async function fetchUpstreamIndex(upstream: Upstream): Promise<ListedProfile[]> {
  const timeout = AbortSignal.timeout(TIMEOUT_MS);
  try {
    const answer = await upstream.open('', { method: 'GET', search: '' }, timeout);
    return parseIndex(await readText(answer));
  } catch (error) {
    // What is called off ends as a connection that was closed.
    if (timeout.aborted) throw noIndex(`not there within ${TIMEOUT_MS / 1000} seconds`, error);
    if (error instanceof CgoprofError) throw error;
    throw noIndex('the answer ended early', error);
  }
}

/** @throws CgoprofError, and whatever ends the answer early */
async function readText(answer: IncomingMessage): Promise<string> {
  try {
    if (answer.statusCode !== 200) throw noIndex(`the server answered ${answer.statusCode} ${answer.statusMessage}`);
    const chunks: Uint8Array[] = [];
    let size = 0;
    for await (const chunk of answer as AsyncIterable<Uint8Array>) {
      size += chunk.length;
      if (size > MAX_BYTES) throw noIndex(`longer than ${MAX_BYTES} bytes`);
      chunks.push(chunk);
    }
    return Buffer.concat(chunks).toString('utf8');
  } finally {
    answer.destroy();
  }
}

function noIndex(why: string, cause?: unknown): CgoprofError {
  return new CgoprofError({ what: 'its index page', why, cause });
}

// Nothing in these can be matched in many ways: the time they take grows with the page alone.
const ROW =
  /<tr>\s{0,8}<td[^<>]{0,64}>(\d{1,15})<\/td>\s{0,8}<td[^<>]{0,64}><a href=[^<>]{0,1024}>([^<>]{1,256})<\/a>/g;
const DESCRIPTION = /<li><div class=["']?profile-name["']?>([^<>]{1,258})<\/div>([^<>]{0,2048})<\/li>/g;

/** Profiles in the page's order, each once. What is not in Go's words is passed over, and so are names that no path can have. */
export function parseIndex(page: string): ListedProfile[] {
  const descriptions = new Map(
    [...page.matchAll(DESCRIPTION)].map(([, name, words]) => [plain(name).replace(/:$/, ''), plain(words)]),
  );
  const found = new Map<string, ListedProfile>();
  for (const [, count, html] of page.matchAll(ROW)) {
    const name = plain(html);
    if (name === '' || !isPageName(name) || found.has(name)) continue;
    found.set(name, { name, count: Number(count), description: descriptions.get(name) ?? '' });
    if (found.size === MAX_PROFILES) break;
  }
  return [...found.values()];
}

const ESCAPES: ReadonlyMap<string, string> = new Map([
  ['&amp;', '&'],
  ['&lt;', '<'],
  ['&gt;', '>'],
  ['&#34;', '"'],
  ['&#39;', "'"],
]);

/** Text without tags as it was before html.EscapeString. */
function plain(html = ''): string {
  return oneLine(html.replace(/&#?\w{1,4};/g, (code) => ESCAPES.get(code) ?? code));
}
