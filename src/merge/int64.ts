/**
 * Protobuf's 64-bit integers, as pprof-format hands them out and takes them: `number | bigint`.
 *
 * pprof-format decodes a varint of up to four bytes as a number and any longer one as an *unsigned* bigint, so the same
 * value can come in two types, and -1 comes as 2^64-1. Everything in this folder works on the canonical form below:
 * a number while that is exact, a bigint in the signed range beyond it.
 */

/** Canonical: a safe integer as number, anything larger as bigint within [-2^63, 2^63). */
export type Int64 = number | bigint;

/** Reads a decoded varint as int64, as protobuf does: modulo 2^64, two's complement. */
export function int64(value: number | bigint): Int64 {
  if (typeof value === 'number') return value;
  const signed = BigInt.asIntN(64, value);
  const small = Number(signed);
  return Number.isSafeInteger(small) ? small : signed;
}

/** Reads a decoded varint as uint64: an address. */
export function uint64(value: number | bigint): bigint {
  return BigInt.asUintN(64, BigInt(value));
}

/** a + b modulo 2^64, as Go adds sample values. */
export function addInt64(a: Int64, b: Int64): Int64 {
  if (typeof a === 'number' && typeof b === 'number') {
    const sum = a + b;
    if (Number.isSafeInteger(sum)) return sum;
  }
  return int64(BigInt(a) + BigInt(b));
}

/** For Array.sort: smallest first. */
export function compareInt64(a: Int64, b: Int64): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
