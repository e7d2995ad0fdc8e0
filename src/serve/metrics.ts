/**
 * /metrics: what the segments and /proc say of all targets, for Prometheus, and this process's own numbers. The services
 * behind --go are not asked: a scrape costs the targets nothing.
 */
import { setImmediate } from 'node:timers/promises';
import { collectDefaultMetrics, Registry } from 'prom-client';
import { CgoprofError } from '../errors.js';
import { cSiteCounts } from '../merge/site-counts.js';
import { version } from '../version.js';
import type { Exchange } from './exchange.js';
import { exposition, type Reading } from './metric-families.js';
import type { ServedTarget } from './served-target.js';

/** Undefined when it has ended, or cannot be read. */
function read(target: ServedTarget): Reading | undefined {
  try {
    const current = target.current();
    const { livePid } = current;
    if (livePid === undefined) return undefined;
    const segment = target.segment(current);
    const reading = { header: segment.header, counts: cSiteCounts(segment), memory: target.memory(livePid) };
    // A pid may be another process by now.
    return target.current().livePid === livePid ? reading : undefined;
  } catch (error) {
    if (error instanceof CgoprofError) return undefined;
    throw error;
  }
}

/** Of prom-client's, what Prometheus' own rules or sense forbid: gauges called totals; means and minima of nothing. */
const LEFT_OUT = [
  'nodejs_active_handles_total',
  'nodejs_active_requests_total',
  'nodejs_active_resources_total',
  'nodejs_eventloop_lag_min_seconds',
  'nodejs_eventloop_lag_mean_seconds',
  'nodejs_eventloop_lag_stddev_seconds',
];

/** The page of one server, whose own numbers are from its making on. */
export class MetricsPage {
  /** This process's own. */
  readonly #own = new Registry();
  readonly #version = version();
  #underWay: Promise<string> | undefined;

  /** @param targets May come and go; the list stays the same one. */
  constructor(private readonly targets: readonly ServedTarget[]) {
    collectDefaultMetrics({ register: this.#own });
    for (const name of LEFT_OUT) this.#own.removeSingleMetric(name);
  }

  get contentType(): string {
    return this.#own.contentType;
  }

  /** One that was begun already does as well, if it is still under way. */
  text(): Promise<string> {
    this.#underWay ??= this.#compose().finally(() => {
      this.#underWay = undefined;
    });
    return this.#underWay;
  }

  async #compose(): Promise<string> {
    // Reading does not wait for anything: whoever has asked by now would else be answered one by one.
    await setImmediate();
    const readings = new Map(this.targets.map((target) => [target.name, read(target)]));
    return `${await exposition(readings, this.#version)}\n${await this.#own.metrics()}`;
  }
}

export async function answerMetrics(exchange: Exchange, page: MetricsPage): Promise<void> {
  exchange.send({ 'Content-Type': page.contentType }, await page.text());
}
