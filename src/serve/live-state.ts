/**
 * What the live page is told, as JSON: the contract between live-data.ts and the browser. Sizes are bytes, times
 * milliseconds since 1970.
 */
/** Where the live page asks, relative to itself; ?target=NAME, or the first target. */
export const LIVE_DATA = 'live.json';

/** How often a reading is taken, and the page asks. */
export const INTERVAL_MS = 10_000;

/** One line of source that holds C memory. Names come from the target: nobody has checked them. */
export interface LiveSite {
  readonly function: string;
  /** '' unknown. */
  readonly file: string;
  /** 0 unknown. */
  readonly line: number;
  /** What the line called that allocates by itself, such as C.CString; '' where it called the allocator. */
  readonly via: string;
  readonly bytes: number;
  /** The interval that covers the truth in 95 % of cases. */
  readonly low: number;
  readonly high: number;
}

export interface LiveC {
  readonly bytes: number;
  /** What of them was in use before the attach, by whatever lines; null where that is not among them. */
  readonly beforeAttach: number | null;
  /** Most bytes first. */
  readonly sites: readonly LiveSite[];
  /** Of all sites that hold memory; those beyond the first are left out of {@link sites}. */
  readonly siteCount: number;
  /** What was lost or is not recorded. */
  readonly notes: readonly string[];
}

export interface LiveGo {
  /** Whether a service was named that can be asked. */
  readonly served: boolean;
  /**
   * Of the profile that came last, whoever asked for it. Null when that says nothing of now; of a process that has ended
   * it is told however old it is.
   */
  readonly bytes: number | null;
  readonly takenAt: number | null;
  /** Why there is none, or no newer one; '' when all is well. */
  readonly problem: string;
  /** That it is of another program or process than the C side, a clause; '' where it is not, or nobody can tell. */
  readonly other: string;
}

/** As `cgoprof ps` has it. */
export interface LiveProcess {
  readonly pid: number;
  readonly state: 'starting' | 'running' | 'paused' | 'exiting' | 'exited' | 'died';
  /** ISO 8601. */
  readonly started: string;
  /** Mean bytes between samples; 1: every allocation. */
  readonly rate: number;
  readonly command: string;
  /** ISO 8601; null where it was profiled from its start. */
  readonly attached: string | null;
}

/**
 * Columns of equal length, oldest first; null where nothing is known: it was not asked for, its process had ended, or
 * there was nothing to read.
 */
export interface LiveHistory {
  readonly at: readonly number[];
  /** All that readings are of, each once. */
  readonly identities: readonly LiveIdentity[];
  /** Index in {@link identities}; -1 where there was nothing to read. */
  readonly of: readonly number[];
  readonly c: readonly (number | null)[];
  readonly go: readonly (number | null)[];
  readonly rss: readonly (number | null)[];
}

/** Which process, and which recording of it: numbers of two are neither compared nor joined by a line. */
export type LiveIdentity = string;

export interface LiveState {
  readonly at: number;
  /** Names, in the order of the command line. */
  readonly targets: readonly string[];
  readonly target: string;
  /** Of its net/http/pprof interface, relative to the page: ends in a slash. */
  readonly pprof: string;
  /** Why nothing can be read now; '' when all is well. */
  readonly problem: string;
  /** How and when its process came to its end, a clause; '' while it lives. */
  readonly ended: string;
  /** '' when nothing can be read. */
  readonly identity: LiveIdentity;
  readonly process: LiveProcess | null;
  readonly c: LiveC | null;
  readonly go: LiveGo;
  /** Null once the process has ended. */
  readonly rss: number | null;
  readonly history: LiveHistory;
}

/** What is told instead, with status 404, where there is no target of that name. */
export interface NoSuchTarget {
  /** Names of those that there are. */
  readonly targets: readonly string[];
}
