/**
 * Addresses that mean another one, as Go's ServeMux has them: doubled slashes, dots, and a folder without its slash.
 *
 * Source: net/http/server.go (cleanPath, Redirect), Go 1.26.
 */
import type { Exchange } from './exchange.js';
import { escapeHtml } from './html.js';

/** @param path As the request has it, percent signs and all. */
export function cleanPath(path: string): string {
  const kept: string[] = [];
  for (const part of path.split('/')) {
    if (part === '..') kept.pop();
    else if (part !== '' && part !== '.') kept.push(part);
  }
  return path.endsWith('/') && kept.length > 0 ? `/${kept.join('/')}/` : `/${kept.join('/')}`;
}

/** @param path Of this server, with percent signs where a URL needs them. The query goes with it. */
export function redirect(exchange: Exchange, path: string): void {
  const location = path + exchange.url.search;
  const { method } = exchange.request;
  const headers = { 'Content-Type': 'text/html; charset=utf-8', Location: location };
  if (method !== 'GET' && method !== 'HEAD') exchange.send({ Location: location }, '', 307);
  else exchange.send(headers, `<a href="${escapeHtml(location)}">Temporary Redirect</a>.\n\n`, 307);
}
