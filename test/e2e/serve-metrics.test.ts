// Promise: /metrics tells what a process holds in C, to the byte where every allocation is recorded, by the rules of
// Prometheus; of what cannot be read it tells nothing but that; and a scrape asks nothing of the service.
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, it, onTestFinished } from 'vitest';
import { attach, headerOf } from '../support/attach-control.js';
import { Workshop } from '../support/cgoprof.js';
import { rawSamples } from '../support/go-pprof.js';
import { serve as serveHttp } from '../support/http-server.js';
import { buildTargetAside } from '../support/profiled-target.js';
import { ServingTool } from '../support/served-tool.js';
import { Service } from '../support/service.js';
import { total } from '../support/sites.js';

let shop: Workshop;
let program: string;
let keeper: string;
beforeAll(async () => {
  shop = new Workshop();
  program = await buildTargetAside('service');
  keeper = shop.compile('keeper', KEEPER);
});
afterAll(() => shop.remove());

/** A program of one thread that keeps books of what it asks of the allocator; nothing else in it does. */
const KEEPER = `
  #include <stdarg.h>
  #include <stdio.h>
  #include <stdlib.h>
  #include <string.h>
  #include <unistd.h>
  static void* held[100003];
  static size_t count, in_use, allocated, freed, objects, freed_objects;
  static __attribute__((noinline)) void hold(size_t size, int times) {
    for (int i = 0; i < times; i++) {
      held[count++] = malloc(size);
      in_use += size, allocated += size, objects++;
    }
  }
  static __attribute__((noinline)) void more(void) { hold(1009, 101), hold(67, 211); }
  static __attribute__((noinline)) void other(void) { hold(40009, 31); }
  static void release(void) {
    while (count > 0) free(held[--count]);
    freed += in_use, freed_objects = objects, in_use = 0;
  }
  static void say(const char* format, ...) {  // dprintf would allocate a buffer
    char text[256];
    va_list values;
    va_start(values, format);
    const int length = vsnprintf(text, sizeof(text), format, values);
    va_end(values);
    if (write(1, text, length) != length) abort();
  }
  int main(void) {
    char line[64];
    say("pid %d\\nready\\n", getpid());
    for (ssize_t bytes; (bytes = read(0, line, sizeof(line) - 1)) > 0;) {
      line[bytes] = 0;
      if (strcmp(line, "more\\n") == 0) more();
      if (strcmp(line, "other\\n") == 0) other();
      if (strcmp(line, "release\\n") == 0) release();
      say("books %zu %zu %zu %zu %zu %zu\\ndone\\n", in_use, objects - freed_objects, allocated, objects, freed,
          freed_objects);
    }
  }`;

/** Sample name with its labels → value. */
async function scrape(url: string): Promise<Map<string, number>> {
  const response = await fetch(`${url}/metrics`);
  expect(response.status).toBe(200);
  expect(response.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
  const lines = (await response.text()).split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return new Map(
    lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ')))]),
  );
}

/** What a scrape says of one target, without the label and the prefix. */
function of(metrics: ReadonlyMap<string, number>, target: string): Record<string, number> {
  const mine = [...metrics].filter(([name]) => name.includes(`target="${target}"`));
  return Object.fromEntries(
    mine.map(([name, value]) => [
      name
        .replace(`target="${target}"`, '')
        .replace('{}', '')
        .replace(/^cgoprof_/, ''),
      value,
    ]),
  );
}

/** The books of the program after one command. */
async function books(service: Service, command: string): Promise<Record<string, number>> {
  await service.obey(command);
  const [, ...numbers] = (await service.line(/books (\d+) (\d+) (\d+) (\d+) (\d+) (\d+)\ndone\n$/)) as string[];
  const [inUse = 0, live = 0, allocated = 0, objects = 0, freed = 0, freedObjects = 0] = numbers.map(Number);
  return {
    c_in_use_bytes: inUse,
    c_in_use_objects: live,
    c_allocated_bytes_total: allocated,
    c_allocated_objects_total: objects,
    c_freed_bytes_total: freed,
    c_freed_objects_total: freedObjects,
    samples_total: objects,
    live_samples: live,
  };
}

async function attachedKeeper(): Promise<Service> {
  const service = await Service.start(shop, [keeper]);
  await attach(shop, service.pid);
  return service;
}

it('the numbers of a program in C are those of its own books, also where something was there before', async () => {
  const service = await Service.start(shop, [keeper]);
  const attached = await attach(shop, service.pid);
  const { url } = await ServingTool.start(shop, `keeper=${service.pid}`);
  const now = async () => of(await scrape(url), 'keeper');

  const first = await now();
  expect(first).toMatchObject({
    target_up: 1,
    recording: 1,
    c_in_use_bytes: 0,
    c_sites_total: 0,
    sample_rate_bytes: 1,
  });
  expect(first.before_attach_bytes).toBe(headerOf(attached).beforeAttachBytes);
  expect(first.attach_timestamp_seconds).toBe(Number(headerOf(attached).attachedUnixNs / 1_000n) / 1e6);
  expect(first.recording_start_timestamp_seconds).toBe(Number(headerOf(attached).createdUnixNs / 1_000n) / 1e6);
  expect(first.segment_bytes).toBeGreaterThan(0);

  const more = await books(service, 'more');
  expect(more).toMatchObject({ c_in_use_bytes: 101 * 1009 + 211 * 67 });
  expect(await now()).toMatchObject({ ...more, c_sites_in_use: 2, c_sites_total: 2, c_buckets: 2 });
  await books(service, 'more');
  const other = await books(service, 'other');
  expect(await now()).toMatchObject({ ...other, c_sites_in_use: 3, c_sites_total: 3 });
  const released = await books(service, 'release');
  expect(released).toMatchObject({ c_in_use_bytes: 0, c_freed_bytes_total: 2 * (101 * 1009 + 211 * 67) + 31 * 40009 });
  expect(await now()).toMatchObject({ ...released, c_sites_in_use: 0, c_sites_total: 3 });
});

it('a Go service: what go tool pprof finds in its profile, and what the kernel says; its Go side is not asked', async () => {
  const service = await Service.run(shop, ['--rate', '1'], [program]);
  await service.obey('grow');
  const upstream = await serveHttp((_, response) => response.end());
  onTestFinished(() => upstream.close());
  // Threads of Go's come when they come, and allocate.
  process.kill(service.pid, 'SIGSTOP');
  const { url } = await ServingTool.start(shop, `api=${service.pid}`, '--go', upstream.url);
  const metrics = of(await scrape(url), 'api');
  const profile = shop.path('c.pb.gz');
  expect(await shop.run(['heap', `${service.pid}`, '--go', 'none', '-o', profile])).toMatchObject({ code: 0 });

  const samples = rawSamples(profile);
  const {
    c_allocated_objects_total: objects,
    c_allocated_bytes_total: bytes,
    c_in_use_objects,
    c_in_use_bytes,
  } = metrics;
  expect([objects, bytes, c_in_use_objects, c_in_use_bytes]).toEqual(total(samples));
  expect(c_in_use_bytes).toBeGreaterThanOrEqual(2 * 101 * 1009);
  const status = readFileSync(`/proc/${service.pid}/status`, 'utf8');
  const kernel = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1]) * 1024;
  expect(metrics).toMatchObject({
    target_up: 1,
    target_resident_memory_bytes: kernel('VmRSS'),
    target_resident_anonymous_bytes: kernel('RssAnon'),
    target_resident_file_bytes: kernel('RssFile'),
    target_resident_shared_bytes: kernel('RssShmem'),
  });
  expect(metrics).not.toHaveProperty('before_attach_bytes');
  expect(metrics).not.toHaveProperty('attach_timestamp_seconds');
  expect(upstream.requests).toEqual([]);
});

it('with what Go’s client for Prometheus tells, they tell what malloc holds and nobody uses, as docs/serve.md has it', async () => {
  const service = await Service.run(shop, ['--rate', '1'], [await buildTargetAside('fragments')]);
  const { url } = await ServingTool.start(shop, `api=${service.pid}`);
  await service.obey('account');
  const metrics = of(await scrape(url), 'api');
  const [sys = 0, released = 0, free = 0] = (await service.line(/account (\d+) (\d+) (\d+)$/m)).slice(1).map(Number);
  const { target_resident_anonymous_bytes: anonymous = 0, c_in_use_bytes: inUse = 0 } = metrics;
  const unused = anonymous - inUse - (sys - released);
  expect(free).toBeGreaterThan(63 * 2 ** 20);
  // Stacks of threads, what libraries keep, and parts of Go's that were never touched: in either direction.
  expect(Math.abs(unused - free)).toBeLessThan(8 * 2 ** 20);
});

it('of a process that has ended nothing is left but that; others are told of as before', async () => {
  const ended = await attachedKeeper();
  const lives = await attachedKeeper();
  const { url } = await ServingTool.start(shop, `ended=${ended.pid}`, `lives=${lives.pid}`);
  expect(of(await scrape(url), 'ended')).toMatchObject({ target_up: 1, c_in_use_bytes: 0 });
  ended.process.stdin?.end();
  await ended.finished;
  const metrics = await scrape(url);
  expect(of(metrics, 'ended')).toEqual({ target_up: 0 });
  expect(of(metrics, 'lives')).toMatchObject({ target_up: 1, c_in_use_bytes: 0 });
});

it('every family has its words and its type once, and the server tells of itself', async () => {
  const service = await attachedKeeper();
  const { url } = await ServingTool.start(shop, `${service.pid}`);
  const text = await (await fetch(`${url}/metrics`)).text();
  const families = (kind: string) => [...text.matchAll(new RegExp(`^# ${kind} (\\S+) `, 'gm'))].map(([, name]) => name);
  expect(new Set(families('HELP')).size).toBe(families('HELP').length);
  expect(families('TYPE')).toEqual(families('HELP'));
  // As Prometheus' own rules have it, and of numbers that there are.
  expect([...text.matchAll(/^# TYPE (\S+_total) gauge$/gm)]).toEqual([]);
  expect(text).not.toMatch(/ (nan|9223372036)/i);
  expect(families('TYPE')).toEqual(
    expect.arrayContaining(['process_resident_memory_bytes', 'nodejs_eventloop_lag_seconds']),
  );
  const { stdout } = await shop.run(['--version']);
  expect(text).toContain(`cgoprof_build_info{version="${stdout.trim()}"} 1\n`);
});
