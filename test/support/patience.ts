/** How long servers of tests wait for clients: longer than any test, so that nothing but what is tested ends a connection. */
import type { Patience } from '../../src/serve/listen.js';

export const GENEROUS: Patience = {
  headersTimeout: 600_000,
  requestTimeout: 600_000,
  keepAliveTimeout: 600_000,
  stalled: 600_000,
  connectionsCheckingInterval: 600_000,
};
