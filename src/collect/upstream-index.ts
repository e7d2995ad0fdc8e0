/**
 * Which profiles a service has, as the index page of its net/http/pprof lists them.
 *
 * Source: net/http/pprof/pprof.go (indexTmplExecute), Go 1.26; before 1.17 html/template wrote the page.
 */
import { oneLine } from '../errors.js';
import { isPageName, type Upstream } from './upstream.js';
import { fetchPage } from './upstream-page.js';

export interface ListedProfile {
  readonly name: string;
  readonly count: number;
  /** '' where there is none. */
  readonly description: string;
}

/** Go's page has two kilobytes and a half. */
const MAX_BYTES = 2 ** 18;

const MAX_PROFILES = 256;

/** @param timeoutMs When it is given up: the page is composed by a service without much work. @throws CgoprofError */
export async function fetchUpstreamIndex(upstream: Upstream, timeoutMs: number): Promise<ListedProfile[]> {
  const { bytes } = await fetchPage(upstream, '', 'its index page', { maxBytes: MAX_BYTES, timeoutMs });
  return parseIndex(Buffer.from(bytes).toString('utf8'));
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
