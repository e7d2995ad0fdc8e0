// Promise: of all the processes that a command line starts, the service is profiled and nothing else, however it is
// started; and what the service starts runs as if nothing were there.
import { copyFileSync, readFileSync, realpathSync } from 'node:fs';
import { basename } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { findGo } from '../../scripts/lib/go.mjs';
import { capture } from '../../scripts/lib/process.mjs';
import { Workshop } from '../support/cgoprof.js';
import { rawSamples } from '../support/go-pprof.js';
import { buildTargetAside } from '../support/profiled-target.js';
import { Service } from '../support/service.js';
import { allInUse, samplesAt, siteOf, total } from '../support/sites.js';

const HELD = siteOf('service', 'held');
const CHILD = siteOf('service', 'child');
const NOTHING = [0, 0, 0, 0];
/** The program behind sh. */
const SHELL = basename(realpathSync('/bin/sh'));

let shop: Workshop;
beforeAll(async () => {
  const service = await buildTargetAside('service');
  shop = new Workshop();
  for (const name of ['svc', 'other']) copyFileSync(service, shop.path(name));
  shop.write('entrypoint-exec', '#!/bin/sh\nset -e\nexport SETTING=1\nexec ./svc "$@"\n', 0o755);
  shop.write('entrypoint', '#!/bin/sh\n./svc "$@"\nexit $?\n', 0o755);
});
afterAll(() => shop.remove());
beforeEach(() => shop.removeSegments());

const output = (): string => shop.path('merged.pb.gz');
const at = (site: typeof HELD): number[] => total(samplesAt(rawSamples(output()), site));

const run = (args: readonly string[], command: readonly string[], env: Record<string, string> = {}) =>
  Service.run(shop, ['--rate', '1', '-o', output(), ...args], command, { env });

/** Base names of the programs that are profiled now, sorted. */
async function profiled(): Promise<string[]> {
  return (await shop.running()).map(({ command }) => basename(command)).sort();
}

const environment = (pid: number): string[] => readFileSync(`/proc/${pid}/environ`, 'latin1').split('\0');
const maps = (pid: number): string => readFileSync(`/proc/${pid}/maps`, 'latin1');

/** Environment of the wrapper in front of the service. */
function wrapperEnvironment(pid: number): string[] {
  const [, parent = ''] = /\) \S (\d+)/.exec(readFileSync(`/proc/${pid}/stat`, 'latin1')) ?? [];
  return environment(Number(parent));
}

describe('the service is found and profiled alone', () => {
  it.each([
    ['directly', ['./svc']],
    ['by a shell', ['sh', '-c', './svc']],
    ['by a shell that replaces itself', ['sh', '-c', 'exec ./svc']],
    ['by bash', ['bash', '-c', 'A=1 ./svc; exit $?']],
    ['by an entrypoint script', ['./entrypoint']],
    ['by an entrypoint script that replaces itself', ['./entrypoint-exec']],
    ['by env', ['env', 'A=1', './svc']],
    ['by env -u', ['env', '-u', 'HOME', './svc']],
    ['by nice', ['nice', '-n', '1', './svc']],
    ['by timeout', ['timeout', '1000', './svc']],
    ['by nohup', ['nohup', './svc']],
    ['by all of them', ['sh', '-c', 'env A=1 nice -n 1 sh -c "timeout 1000 ./entrypoint; exit \\$?"']],
  ])('%s', async (_, command) => {
    const running = await run([], command);
    expect(await profiled()).toEqual(['svc']);
    expect(await running.end('return')).toMatchObject({ code: 0, signal: null });
    expect(at(HELD)).toEqual(allInUse(HELD));
    expect(shop.segmentNames()).toEqual([]);
  });

  it('with the lines of `cgoprof env`', async () => {
    const line = `env $(${shop.tool.join(' ')} env --rate 1) ./svc`;
    const running = await Service.start(shop, ['sh', '-c', line]);
    expect(await profiled()).toEqual(['svc']);
    expect((await shop.run(['heap', `${running.pid}`, '-o', output()])).code).toBe(0);
    expect(at(HELD)).toEqual(allInUse(HELD));
    expect(await running.end('return')).toMatchObject({ code: 0, stderr: '' });
  });

  it('each of several', async () => {
    const running = await run([], ['sh', '-c', './other child </dev/null; ./svc']);
    expect(await running.end('return')).toMatchObject({ code: 0 });
    expect([at(HELD), at(CHILD)]).toEqual([allInUse(HELD), allInUse(CHILD)]);
  });
});

describe('--profile', () => {
  it('NAME: that one of several Go programs', async () => {
    const running = await run(['--profile', 'svc'], ['sh', '-c', './other child </dev/null; ./svc']);
    expect(await running.end('return')).toMatchObject({ code: 0 });
    expect([at(HELD), at(CHILD)]).toEqual([allInUse(HELD), NOTHING]);
  });

  it('all: the first process there is, and nothing that it starts', async () => {
    const running = await run(['--profile', 'all'], ['sh', '-c', './svc; exit $?']);
    expect(await profiled()).toEqual([SHELL]);
    expect(await running.end('return')).toMatchObject({ code: 0 });
    expect(at(HELD)).toEqual(NOTHING);
  });

  it('all --follow: every process', async () => {
    const running = await run(['--profile', 'all', '--follow'], ['sh', '-c', 'nice -n 1 ./svc; exit $?']);
    expect(await profiled()).toEqual([SHELL, 'svc'].sort());
    expect(await running.end('return')).toMatchObject({ code: 0 });
    expect(at(HELD)).toEqual(allInUse(HELD));
    expect(shop.segmentNames()).toEqual([]);
  });
});

describe('a program that is not Go', () => {
  const LINE = 4;
  const SOURCE = `#include <stdio.h>
#include <stdlib.h>
int main(void) {
  for (int i = 0; i < 13; i++) *(void **)malloc(1019) = stdout;
  puts("ready");
  fflush(stdout);
  getchar();
  return 0;
}
`;
  let site: { path: string; line: number };
  beforeAll(() => {
    shop.compile('plain', SOURCE);
    site = { path: shop.path('plain.c'), line: LINE };
  });
  const total13 = [13, 13 * 1019, 13, 13 * 1019];

  it('is profiled when it is what is run', async () => {
    const running = await run([], ['./plain']);
    expect(await profiled()).toEqual(['plain']);
    expect(await running.end('')).toMatchObject({ code: 0 });
    expect(total(samplesAt(rawSamples(output()), site))).toEqual(total13);
  });

  it('behind a shell only when it is named', async () => {
    const unnamed = await run([], ['sh', '-c', './plain']);
    expect(await profiled()).toEqual([]);
    expect(await unnamed.end('')).toMatchObject({ code: 1, stderr: expect.stringContaining('nothing was profiled') });
    const named = await run(['--profile', 'plain'], ['sh', '-c', './plain']);
    expect(await profiled()).toEqual(['plain']);
    expect(await named.end('')).toMatchObject({ code: 0 });
    expect(total(samplesAt(rawSamples(output()), site))).toEqual(total13);
  });
});

describe('what the service starts', () => {
  /** Starts a Go program and cat, each by Go and by C; their pids once they are up. */
  async function children(running: Service): Promise<Record<string, number>> {
    await running.obey('children');
    const pids: Record<string, number> = {};
    for (const name of ['go service', 'c service', 'go cat', 'c cat']) {
      pids[name] = Number((await running.line(new RegExp(`^child ${name} (\\d+)$`, 'm')))[1]);
    }
    return pids;
  }

  it('runs bare, whether Go or C starts it', async () => {
    const running = await run([], ['./svc'], { WORD: 'x' });
    const bare = [`HOME=${shop.root}`, `PATH=${process.env.PATH}`, 'WORD=x'];
    for (const [name, pid] of Object.entries(await children(running))) {
      expect({ name, loaded: /libcgoprof|\.seg/.exec(maps(pid)) }).toEqual({ name, loaded: null });
      // Entries without a name are what C passes on of the places where ours were.
      const given = environment(pid).filter((entry) => entry !== '');
      expect({ name, given: given.sort() }).toEqual({ name, given: bare });
    }
    expect(await profiled()).toEqual(['svc']);
    await running.obey('end children');
    expect(await running.end('return')).toMatchObject({ code: 0 });
    expect([at(HELD), at(CHILD)]).toEqual([allInUse(HELD), NOTHING]);
  });

  it('is profiled with --follow, where it is a Go program', async () => {
    const running = await run(['--follow'], ['./svc']);
    await children(running);
    expect(await profiled()).toEqual(['svc', 'svc', 'svc']);
    await running.obey('end children');
    expect(await running.end('return')).toMatchObject({ code: 0 });
    expect([at(HELD), at(CHILD)]).toEqual([allInUse(HELD), allInUse(CHILD, 2)]);
    expect(shop.segmentNames()).toEqual([]);
  });

  it('is profiled with --follow --profile all, whatever it is', async () => {
    const running = await run(['--follow', '--profile', 'all'], ['./svc']);
    await children(running);
    expect(await profiled()).toEqual(['cat', 'cat', 'svc', 'svc', 'svc']);
    await running.obey('end children');
    expect(await running.end('return')).toMatchObject({ code: 0 });
    expect([at(HELD), at(CHILD)]).toEqual([allInUse(HELD), allInUse(CHILD, 2)]);
  });
});

describe.each([
  ['tcmalloc', 'libtcmalloc_minimal.so.4', 'MALLOCSTATS=1', /MALLOC:\s+(\d+) .*Bytes in use by application/],
  ['jemalloc', 'libjemalloc.so.2', 'MALLOC_CONF=stats_print:true', /^Allocated: (\d+),/m],
])('a service whose user preloads %s', (_, library, statistics, inUse) => {
  it('has ours in front of it and its memory from there', async () => {
    const env = { LD_PRELOAD: library };
    const running = await run([], ['sh', '-c', `env ${statistics} ./svc; exit $?`], env);
    expect(wrapperEnvironment(running.pid)).toContain(`LD_PRELOAD=${shop.library}:${library}`);
    expect(await profiled()).toEqual(['svc']);
    await running.obey('grow');
    await running.obey('children');
    const [, cat] = await running.line(/^child c cat (\d+)$/m);
    expect(environment(Number(cat))).toContain(`LD_PRELOAD=${library}`);
    await running.obey('end children');
    const { code, stderr } = await running.end('exit 0');
    expect(code).toBe(0);
    expect(Number(inUse.exec(stderr)?.[1])).toBeGreaterThan(2 * HELD.bytes);
    expect(at(HELD)).toEqual(allInUse(HELD, 2));
  });
});

describe('Go that is built otherwise', () => {
  const build = (name: string, source: string, flags: readonly string[], cgo: '0' | '1'): void => {
    const cwd = shop.path(name);
    shop.write(`${name}/go.mod`, `module ${name}\n\ngo 1.18\n`);
    shop.write(`${name}/main.go`, source);
    capture([findGo(), 'build', ...flags, '-o', shop.path(`${name}/${name}`), '.'], { cwd, env: { CGO_ENABLED: cgo } });
  };

  it('a program without cgo is refused, since nothing can be loaded into it', async () => {
    build('pure', 'package main\n\nfunc main() {}\n', [], '0');
    const { code, stdout, stderr } = await shop.run(['run', '--', './pure/pure']);
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toBe(
      'cgoprof: run: ./pure/pure: statically linked, so no library can be preloaded into it\n' +
        '  A Go program without cgo has no C memory to profile; one with cgo must be linked without -static.\n',
    );
  });

  it('a library, in a C program that loads it: both live', async () => {
    const library =
      'package main\n\nimport "C"\n\n//export answer\nfunc answer() C.int { return 42 }\n\nfunc main() {}\n';
    build('golib', library, ['-buildmode=c-shared'], '1');
    const host = `#include <dlfcn.h>
int main(void) {
  int (*answer)(void) = (int (*)(void))dlsym(dlopen("golib/golib", RTLD_NOW), "answer");
  return answer();
}
`;
    shop.compile('host', host, ['-ldl']);
    // The Go runtime finds its page size behind the environment, of which one variable more or less is ours.
    for (const args of [[], ['-o', output()]]) {
      expect(await shop.run(['run', ...args, '--', './host'])).toMatchObject({ code: 42, stdout: '' });
    }
  });
});
