/**
 * A real Parca server (`npm run test:fleet` builds it), and its query service.
 *
 * Source of the numbers of fields: parca/query/v1alpha1/query.proto of Parca 0.21.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';
import { fleetTool } from '../../scripts/lib/fleet-tools.mjs';
import type { Finished, RunningTool, Workshop } from './cgoprof.js';
import { call, type Field, type Message } from './grpc-web.js';

export const PARCA = fileURLToPath(new URL(`../../${fleetTool('parca')}`, import.meta.url));

const QUERY_SERVICE = '/parca.query.v1alpha1.QueryService';

/** QueryRequest.Mode and QueryRequest.ReportType. */
const MODE_DIFF = 1n;
const REPORT_PPROF = 1n;

/** One scrape, as Parca keeps it. */
export interface Scrape {
  /** Milliseconds since 1970. */
  readonly time: number;
  /** All of the profile's samples added up. */
  readonly total: number;
}

/** What is waited for tells nobody when it happens. */
const LOOK_EVERY_MS = 50;

export class Parca {
  #ended: Finished | undefined;
  #stderr = '';

  private constructor(
    private readonly tool: RunningTool,
    private readonly origin: string,
  ) {
    tool.process.stderr?.on('data', (text: string) => {
      this.#stderr += text;
    });
    void tool.finished.then((finished) => {
      this.#ended = finished;
    });
  }

  /** Starts one that asks nobody but whom its configuration names. It ends with the test. */
  static async start(shop: Workshop, config: string): Promise<Parca> {
    const address = `127.0.0.1:${await freePort()}`;
    const nobody = '127.0.0.1:1';
    const options = {
      'config-path': config,
      'http-address': address,
      'profile-share-server': nobody,
      'debuginfod-upstream-servers': `http://${nobody}`,
      'debuginfo-cache-dir': shop.path('parca-debuginfo'),
    };
    const flags = Object.entries(options).map(([name, value]) => `--${name}=${value}`);
    const parca = new Parca(shop.launch([PARCA, ...flags]), `http://${address}`);
    onTestFinished(async () => {
      parca.tool.destroy();
      await parca.tool.finished;
    });
    return parca;
  }

  /** The first scrape of a query that is younger than `after` (milliseconds since 1970). */
  scrape(query: string, after = 0): Promise<Scrape> {
    return this.#until(async () => (await this.#scrapes(query)).find(({ time }) => time > after));
  }

  /** The names of all kinds of profiles that it has, such as "memory:inuse_space:bytes:space:bytes". */
  async profileTypes(): Promise<string[]> {
    const types = (await this.#call('ProfileTypes', [])).messages(1);
    return types.map((type) => [1, 2, 3, 4, 5].map((field) => type.bytes(field).toString()).join(':'));
  }

  /** One scrape as a pprof file. @returns its bytes */
  async profile(query: string, { time }: Scrape): Promise<Buffer> {
    return this.#report([[4, single(query, time)]]);
  }

  /** What came from one scrape to another, as a pprof file. @returns its bytes */
  async difference(query: string, before: Scrape, after: Scrape): Promise<Buffer> {
    const selection = ({ time }: Scrape): Field[] => [[3, single(query, time)]];
    return this.#report([
      [1, MODE_DIFF],
      [
        2,
        [
          [1, selection(before)],
          [2, selection(after)],
        ],
      ],
    ]);
  }

  async #scrapes(query: string): Promise<Scrape[]> {
    const now = Date.now();
    const hour = 3_600_000;
    const range: Field[] = [
      [1, query],
      [2, timestamp(now - hour)],
      [3, timestamp(now + hour)],
    ];
    const [series] = (await this.#call('QueryRange', range)).messages(1);
    const samples = series?.messages(2) ?? [];
    return samples.map((sample) => ({ time: milliseconds(sample.message(1)), total: Number(sample.integer(2)) }));
  }

  async #report(fields: readonly Field[]): Promise<Buffer> {
    const PPROF = 6;
    return (await this.#call('Query', [...fields, [5, REPORT_PPROF]])).bytes(PPROF);
  }

  #call(method: string, fields: readonly Field[]): Promise<Message> {
    return call(this.origin, `${QUERY_SERVICE}/${method}`, fields);
  }

  /** Asks until there is an answer: while it starts it cannot be connected to, and has no such profiles. */
  async #until<T>(ask: () => Promise<T | undefined>): Promise<T> {
    for (;;) {
      if (this.#ended !== undefined) throw new Error(`Parca ended: ${this.#ended.stderr}`);
      const found = await ask().catch((error: Error) => {
        if (!isNotYet(error)) throw new Error(`${error.message}; Parca says: ${this.#stderr}`, { cause: error });
      });
      if (found !== undefined) return found;
      await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
    }
  }
}

function isNotYet(error: Error): boolean {
  const { code } = (error.cause ?? {}) as { code?: string };
  return code === 'ECONNREFUSED' || /gRPC status 5:/.test(error.message);
}

/** A SingleProfile. */
function single(query: string, time: number): Field[] {
  return [
    [1, timestamp(time)],
    [2, query],
  ];
}

/** A google.protobuf.Timestamp: seconds and nanoseconds. */
function timestamp(time: number): Field[] {
  return [
    [1, BigInt(Math.floor(time / 1000))],
    [2, BigInt(time % 1000) * 1_000_000n],
  ];
}

function milliseconds(timestamp: Message): number {
  return Number(timestamp.integer(1)) * 1000 + Number(timestamp.integer(2) / 1_000_000n);
}

/** One that nobody listened on a moment ago. */
async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
