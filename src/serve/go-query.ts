/**
 * Query parameters as Go reads them: a malformed pair, or one with a semicolon, is left out, and the others stand.
 *
 * Source: net/url/url.go (parseQuery, unescape), Go 1.26.
 */

/** @param search With or without its question mark. */
export function parseGoQuery(search: string): URLSearchParams {
  const query = new URLSearchParams();
  for (const pair of search.replace(/^\?/, '').split('&')) {
    if (pair === '' || pair.includes(';')) continue;
    const [key = '', ...value] = pair.split('=').map((part) => part.replaceAll('+', ' '));
    const [name, text] = [unescaped(key), unescaped(value.join('='))];
    if (name !== undefined && text !== undefined) query.append(name, text);
  }
  return query;
}

/** Undefined where a % begins nothing. */
export function unescaped(text: string): string | undefined {
  if (/%(?![0-9a-f]{2})/i.test(text)) return undefined;
  const bytes = text.replace(/[^%]+|%../gs, (part) =>
    part.startsWith('%') ? part.slice(1) : Buffer.from(part).toString('hex'),
  );
  return Buffer.from(bytes, 'hex').toString();
}
