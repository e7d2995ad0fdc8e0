/**
 * An address that is known before the service behind it has one: passes requests on to it, and answers 503 while there is
 * none. Connections that the service refuses or drops are dropped here too.
 */
import type { RequestListener } from 'node:http';
import { onTestFinished } from 'vitest';
import { serve, type TestServer } from './http-server.js';

export class Relay {
  /** Base URL of the service. */
  target: string | undefined;
  #passed = 0;
  #dropped = 0;
  readonly #server: TestServer;

  private constructor(server: TestServer) {
    this.#server = server;
  }

  /** Ends with the test that starts it. */
  static async start(): Promise<Relay> {
    let relay: Relay | undefined;
    const server = await serve((request, response) => void relay?.answer(request, response));
    relay = new Relay(server);
    onTestFinished(() => server.close());
    return relay;
  }

  get url(): string {
    return this.#server.url;
  }

  /** Path and query of every request, in order. */
  get requests(): readonly string[] {
    return this.#server.requests;
  }

  /** Answers of the service that were passed on. */
  get passed(): number {
    return this.#passed;
  }

  /** Requests that the service did not answer. */
  get dropped(): number {
    return this.#dropped;
  }

  private readonly answer: RequestListener = async (request, response) => {
    if (this.target === undefined) {
      response.writeHead(503).end();
      return;
    }
    try {
      const answer = await fetch(`${this.target}${request.url}`);
      const body = Buffer.from(await answer.arrayBuffer());
      response.writeHead(answer.status).end(body);
      this.#passed += 1;
    } catch {
      response.destroy();
      this.#dropped += 1;
    }
  };
}
