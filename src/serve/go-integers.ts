/** Integers in text, as Go's strconv reads them. */

const MAX_UINT64 = 2n ** 64n - 1n;

/** Digits with underscores between them, or between them and what they begin with. */
const BASE_PREFIXED = /^(0x(_?[0-9a-f])+|0b(_?[01])+|0o?(_?[0-7])+|0|[1-9](_?[0-9])*)$/i;

/** strconv.ParseUint(text, 0, 64). Undefined where that is an error. Source: strconv/atoi.go, Go 1.26. */
export function parseUint64(text: string): bigint | undefined {
  if (!BASE_PREFIXED.test(text)) return undefined;
  const digits = text.replaceAll('_', '');
  const value = BigInt(/^0[0-7]/.test(digits) ? `0o${digits.slice(1)}` : digits);
  return value <= MAX_UINT64 ? value : undefined;
}
