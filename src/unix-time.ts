/** Times as segments have them: nanoseconds since 1970. */

/** ISO 8601, to the millisecond. */
export function isoTime(unixNs: bigint): string {
  return new Date(Number(unixNs / 1_000_000n)).toISOString();
}
