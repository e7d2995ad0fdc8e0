/** What to know of the numbers before one believes them, in sentences; '' where there is nothing to say. */
import { formatBytes } from '../present/units.js';
import { INTERVAL_MS, type LiveGo, type LiveProcess, type LiveState } from '../serve/live-state.js';
import { formatClockSeconds } from './words.js';

/** What is in C's number that no line of the process's was seen to allocate. */
export function attachNote({ c }: Pick<LiveState, 'c'>): string {
  const before = c?.beforeAttach ?? 0;
  if (before === 0) return '';
  return `C in use includes ${formatBytes(before)} from before cgoprof was attached, which are of no line: what of them was freed since is not known.`;
}

/** How new Go's numbers are, what they cost, and whether they are the process's. */
export function goNote({ go, process, ended }: Pick<LiveState, 'go' | 'process' | 'ended'>): string {
  if (!go.served) return 'Go in use is not known: no service was named with --go.';
  if (process === null) return 'Go in use is not known.';
  const age = ended === '' ? ageNote(go) : lastGoNote(go.takenAt);
  return go.other === '' ? age : `${capitalized(go.other)}. ${age}`;
}

/** A clause as the beginning of a sentence. */
function capitalized(clause: string): string {
  return clause.charAt(0).toUpperCase() + clause.slice(1);
}

function ageNote({ problem, takenAt }: LiveGo): string {
  const taken = takenAt === null ? '' : ` Its last profile came at ${formatClockSeconds(takenAt)}.`;
  if (problem !== '') return `Go: ${problem}.${taken}`;
  return `Go’s numbers are as of its last garbage collection. The service is asked for them only while this page is open, every ${INTERVAL_MS / 1_000}\u00a0s, or when somebody takes a profile.`;
}

function lastGoNote(takenAt: number | null): string {
  if (takenAt === null) return 'Go in use is not known: nobody asked for it while the process lived.';
  return `Go in use is as of the last profile that was taken while the process lived, at ${formatClockSeconds(takenAt)}.`;
}

export function rateNote(process: LiveProcess | null): string {
  if (process === null) return '';
  if (process.rate <= 1) return 'Every allocation in C is recorded.';
  return `Allocations in C are sampled, one per ${formatBytes(process.rate)} on average: amounts are estimates, and below each stands where the truth lies in 95 % of cases.`;
}
