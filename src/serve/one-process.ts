/**
 * What is taken of a target in several steps: the answer of its service, its segment, what the system says of it. Its
 * process may end in between, and another follow; what answers for it then may be another too.
 */
import type { FollowedSegment } from '../collect/followed-target.js';
import { CgoprofError } from '../errors.js';
import type { ServedTarget } from './served-target.js';

/** How often it is begun anew. */
const MAX_BEGINNINGS = 3;

/**
 * Takes it, anew where its process ended or another followed before that was done.
 *
 * @param take Its failures count as little as its results when that happened.
 * @throws CgoprofError when there is no process, or it is another one every time
 */
export async function ofOneProcess<T>(
  target: Pick<ServedTarget, 'name' | 'current'>,
  take: (current: FollowedSegment) => Promise<T>,
): Promise<T> {
  for (let begun = 0; begun < MAX_BEGINNINGS; begun++) {
    const current = target.current();
    const taken = await take(current).then(
      (value) => ({ value }),
      (error: unknown) => ({ error }),
    );
    if (target.current() !== current) continue;
    if ('error' in taken) throw taken.error;
    return taken.value;
  }
  throw new CgoprofError({ what: target.name, why: 'its process ends and is started anew while it is looked at' });
}
