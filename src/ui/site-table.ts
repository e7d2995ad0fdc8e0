/** The table of lines that hold the most memory of C, with their change. */
import { formatBytes } from '../present/units.js';
import type { LiveC, LiveSite } from '../serve/live-state.js';
import { byId, element, setText } from './elements.js';
import { SiteHistory } from './site-history.js';
import { formatChange, formatInterval, formatShare, formatSpan, shortPath } from './words.js';

/** Rows that are shown. */
const ROWS = 25;

const TABLE_ROLES = {
  'thead, tbody': 'rowgroup',
  tr: 'row',
  'thead th': 'columnheader',
  'tbody th': 'rowheader',
  td: 'cell',
};

export class SiteTable {
  readonly #history = new SiteHistory();
  readonly #since = byId<HTMLSelectElement>('since');
  readonly #order = byId<HTMLSelectElement>('order');
  #at = 0;
  #c: LiveC | null = null;

  constructor() {
    for (const select of [this.#since, this.#order]) select.addEventListener('change', () => this.#render());
  }

  /** @param c null where it is not known: then nothing is shown, rather than what was */
  show(at: number, identity: string, c: LiveC | null): void {
    if (c !== null) this.#history.add(at, identity, c);
    this.#at = at;
    this.#c = c;
    this.#render();
  }

  #render(): void {
    if (this.#c === null) {
      setText(byId('change-head'), 'Change');
      setText(byId('more-sites'), 'Which lines hold C memory is not known.');
      byId('site-rows').replaceChildren();
      return;
    }
    const { bytes: total, sites, siteCount } = this.#c;
    const shown = this.#ordered(sites).slice(0, ROWS);
    const span = Math.max(0, this.#at - this.#history.since(this.#window));
    setText(byId('change-head'), span === 0 ? 'Change' : `Change in ${formatSpan(span)}`);
    setText(byId('more-sites'), moreSites(shown, siteCount, total));
    byId('site-rows').replaceChildren(
      ...shown.map((site) => row(site, total, this.#history.change(site, this.#window))),
    );
    keepRoles(byId('sites'));
  }

  get #window(): number | undefined {
    return this.#since.value === '' ? undefined : Number(this.#since.value);
  }

  #ordered(sites: readonly LiveSite[]): LiveSite[] {
    if (this.#order.value !== 'change') return [...sites];
    const growth = (site: LiveSite): number => this.#history.change(site, this.#window) ?? 0;
    return [...sites].sort((a, b) => growth(b) - growth(a) || b.bytes - a.bytes);
  }
}

/**
 * On a phone a row is laid out in two lines, for which some browsers take it for no row any more, and the table for none:
 * said in words, it is one.
 */
function keepRoles(table: HTMLElement): void {
  table.setAttribute('role', 'table');
  for (const [parts, role] of Object.entries(TABLE_ROLES)) {
    for (const part of table.querySelectorAll(parts)) part.setAttribute('role', role);
  }
}

function moreSites(shown: readonly LiveSite[], siteCount: number, total: number): string {
  if (siteCount === 0) return 'No memory of C is in use, as far as it was recorded.';
  const left = siteCount - shown.length;
  if (left === 0) return '';
  const rest = total - shown.reduce((sum, { bytes }) => sum + bytes, 0);
  return `${left} more ${left === 1 ? 'line holds' : 'lines hold'} ${formatBytes(Math.max(0, Math.round(rest)))}; the profile has them all.`;
}

function row(site: LiveSite, total: number, change: number | undefined): HTMLTableRowElement {
  const { bytes, low, high } = site;
  const amount = element('td', {}, formatBytes(Math.round(bytes)));
  if (high - low >= 1) amount.append(' ', interval(low, high));
  const changed = element('td', { class: changeClass(change) }, change === undefined ? '–' : formatChange(change));
  return element('tr', {}, siteHead(site, total), amount, element('td', {}, formatShare(bytes, total)), changed);
}

function siteHead(site: LiveSite, total: number): HTMLTableCellElement {
  const { function: name, file, line, via, bytes } = site;
  const bar = element('span', { class: 'bar', 'aria-hidden': 'true' });
  bar.style.width = `${total > 0 ? Math.min(100, (100 * bytes) / total) : 0}%`;
  const head = element('th', { scope: 'row' }, element('bdi', { class: 'function' }, name === '' ? '(no name)' : name));
  if (via !== '') head.append(' ', element('span', { class: 'via' }, 'calls ', element('bdi', {}, via)));
  if (file !== '') {
    const place = `${shortPath(file)}${line > 0 ? `:${line}` : ''}`;
    head.append(' ', element('bdi', { class: 'place', title: `${file}:${line}` }, place));
  }
  head.append(bar);
  return head;
}

/** How far a sampled amount can be trusted. */
function interval(low: number, high: number): HTMLElement {
  const title = 'The truth is in here in 95 % of cases';
  return element('span', { class: 'interval', title }, formatInterval(low, high));
}

function changeClass(change: number | undefined): string {
  if (change === undefined || Math.round(change) === 0) return 'same';
  return change > 0 ? 'grew' : 'shrank';
}
