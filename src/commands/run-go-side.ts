/**
 * The Go side of `run`: a service is asked for its heap profile again and again while it runs, because it cannot be asked
 * once it has ended; a file is read at the end, because the command may have written it.
 */
import type { Profile } from 'pprof-format';
import { DEFAULT_LIMITS, describeGoSource, fetchGoHeap, type GoSource } from '../collect/go-heap.js';
import { LastGood } from '../collect/poll-last-good.js';
import { CgoprofError } from '../errors.js';
import { parseGoProfile } from '../merge/parse-profile.js';

export interface DatedProfile {
  readonly profile: Profile;
  /** Where it came from. */
  readonly name: string;
  readonly takenAt: Date;
}

export interface GoSide {
  /** The last good profile; when there is none, why, unless none was asked for. Ends the asking. */
  finish(): Promise<{ readonly last: DatedProfile | undefined; readonly error: unknown }>;
}

export function watchGoSide(source: GoSource, intervalMs: number): GoSide {
  if (source.kind === 'none') return { finish: async () => ({ last: undefined, error: undefined }) };
  const ask = async (cancel?: AbortSignal): Promise<DatedProfile> => {
    const { bytes, name, takenAt } = await fetchGoHeap(source, DEFAULT_LIMITS, cancel);
    return { profile: parseGoProfile(bytes, name), name, takenAt };
  };
  if (source.kind === 'file') {
    return {
      finish: () =>
        ask().then(
          (last) => ({ last, error: undefined }),
          (error: unknown) => ({ last: undefined, error }),
        ),
    };
  }
  const poll = new LastGood(ask, intervalMs);
  poll.start();
  return {
    finish: async () => {
      poll.stop();
      return { last: poll.value, error: poll.error ?? neverAnswered(source) };
    },
  };
}

function neverAnswered(source: GoSource): CgoprofError {
  return new CgoprofError({
    what: `Go heap profile ${describeGoSource(source)}`,
    why: 'the command ended before it had answered',
    hint: 'A short run can write the profile itself, with runtime/pprof, to a file: --go FILE.',
  });
}
