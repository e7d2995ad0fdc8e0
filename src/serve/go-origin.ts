/**
 * Whether what answers where --go points is the process that the C side is of: its program by each profile, its command
 * line once per process, since replicas of one program differ in nothing else.
 */
import type { Profile } from 'pprof-format';
import { commandLine } from '../collect/command-line.js';
import type { FoundSegment } from '../collect/find-segments.js';
import type { FollowedSegment } from '../collect/followed-target.js';
import type { Upstream } from '../collect/upstream.js';
import { fetchCommandLine } from '../collect/upstream-command-line.js';
import type { Context } from '../context.js';
import { otherProcessNote, otherProgramNote, type Program, programOf } from '../merge/same-program.js';
import type { Segment } from '../native-binding.js';
import { GO_PATIENCE_MS } from './go-patience.js';

interface Of<T> {
  readonly found: FoundSegment;
  readonly value: T;
}

/** After a question that had no answer, ms: the service may not listen yet. */
const ASK_AGAIN_MS = 10_000;

export class GoOrigin {
  #asked: Of<Promise<string | undefined>> | undefined;
  #askAgainAt = Number.POSITIVE_INFINITY;
  #seen: Of<Program | undefined> | undefined;

  constructor(
    private readonly context: Context,
    private readonly upstream: Upstream,
  ) {}

  /** Asks for the command line, unless that was answered, or the process has ended. Its failure is no error. */
  async ask({ found, livePid }: FollowedSegment): Promise<string | undefined> {
    if (this.#asked?.found === found && performance.now() < this.#askAgainAt) return this.#asked.value;
    const own = livePid === undefined ? undefined : commandLine(this.context.procRoot, livePid);
    if (livePid === undefined || own === undefined) return undefined;
    this.#askAgainAt = Number.POSITIVE_INFINITY;
    const value = fetchCommandLine(this.upstream, GO_PATIENCE_MS).then((told) => {
      if (told === undefined && this.#asked?.value === value) this.#askAgainAt = performance.now() + ASK_AGAIN_MS;
      return told && otherProcessNote(told, own, livePid);
    });
    this.#asked = { found, value };
    return value;
  }

  /** Takes in a profile that came from the service while that process lived. */
  see({ found }: FollowedSegment, profile: Profile): void {
    this.#seen = { found, value: programOf(profile) };
  }

  /** Whether a profile of that process has been taken in. */
  hasSeen({ found }: FollowedSegment): boolean {
    return this.#seen?.found === found;
  }

  /** What to tell, one clause. @param go What it is about; by default the profile that was taken in last */
  async note(target: FollowedSegment, segment: Segment, go?: Profile): Promise<string | undefined> {
    const seen = this.hasSeen(target) ? this.#seen?.value : undefined;
    return otherProgramNote(go === undefined ? seen : programOf(go), [segment]) ?? (await this.ask(target));
  }
}
