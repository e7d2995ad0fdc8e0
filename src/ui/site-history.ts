/** What each line that holds C memory held while the page was open, so that its change can be told. */
import type { LiveIdentity, LiveSite } from '../serve/live-state.js';

const HOUR_MS = 3_600_000;

interface Look {
  /** Unix time, ms. */
  readonly at: number;
  readonly bytes: ReadonlyMap<string, number>;
  /** Sites that are not in it held nothing; otherwise not so much as those that are. */
  readonly complete: boolean;
}

const keyOf = ({ function: name, file, line, via }: LiveSite): string => JSON.stringify([name, file, line, via]);

export class SiteHistory {
  #identity: LiveIdentity = '';
  #first: Look | undefined;
  /** Of the last hour, oldest first. */
  #looks: Look[] = [];

  /** Begins anew when it is another process: its sites have nothing to do with those. */
  add(
    at: number,
    identity: LiveIdentity,
    { sites, siteCount }: { readonly sites: readonly LiveSite[]; readonly siteCount: number },
  ): void {
    if (identity !== this.#identity) {
      this.#identity = identity;
      this.#first = undefined;
      this.#looks = [];
    }
    const bytes = new Map(sites.map((site) => [keyOf(site), site.bytes]));
    const look = { at, bytes, complete: sites.length === siteCount };
    this.#first ??= look;
    this.#looks = [...this.#looks.filter((one) => at - one.at <= HOUR_MS), look];
  }

  /**
   * Since when changes can be told.
   *
   * @param ms Within the last so many; undefined: since the page was opened.
   * @returns Unix time, ms
   */
  since(ms: number | undefined): number {
    return this.#base(ms)?.at ?? 0;
  }

  /**
   * @param ms As of {@link since}.
   * @returns bytes; undefined where the site was then too small to be told of
   */
  change(site: LiveSite, ms: number | undefined): number | undefined {
    const base = this.#base(ms);
    const before = base?.bytes.get(keyOf(site)) ?? (base?.complete ? 0 : undefined);
    return before === undefined ? undefined : site.bytes - before;
  }

  #base(ms: number | undefined): Look | undefined {
    const now = this.#looks.at(-1)?.at ?? 0;
    return ms === undefined ? this.#first : this.#looks.find((look) => now - look.at <= ms);
  }
}
