// Promise: in one merged profile of a living service a Go function has one node, with the C memory and the Go memory
// below it, and every view of go tool pprof works on it.
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Workshop } from '../support/cgoprof.js';
import { check, list, pprof, top, topRows } from '../support/go-pprof.js';
import { buildTargetAside } from '../support/profiled-target.js';
import { Service } from '../support/service.js';
import { siteOf } from '../support/sites.js';

const C = siteOf('service', 'held');
const GO = siteOf('service', 'go');
/** Blocks of 1021 bytes take 1024: Go counts what its size classes give out. */
const GO_BYTES = GO.blocks * 1024;

let shop: Workshop;
let executable = '';
const files = { goOnly: '', merged: '', grown: '' };
beforeAll(async () => {
  shop = new Workshop();
  executable = await buildTargetAside('service');
});
afterAll(() => shop.remove());

it('the service is profiled, before and after it grew', async () => {
  const service = await Service.run(shop, ['--rate', '1'], [executable]);
  const heap = async (name: string, ...flags: string[]) => {
    const file = shop.path(name);
    const { code, stderr } = await shop.run(['heap', `${service.pid}`, '-o', file, ...flags]);
    expect([code, stderr]).toEqual([0, expect.stringMatching(/^cgoprof: wrote \S+: [^\n]*\n$/)]);
    return file;
  };
  const response = await fetch(`${service.url}/debug/pprof/heap?gc=1`);
  files.goOnly = shop.write('go.pb.gz', new Uint8Array(await response.arrayBuffer()));
  files.merged = await heap('merged.pb.gz', '--go', files.goOnly);
  await service.obey('grow');
  files.grown = await heap('grown.pb.gz', '--go', service.url, '--gc');
  await service.end('return');
});

describe('a Go function', () => {
  it('is one node, with the bytes of both sides below it', () => {
    const names = topRows(files.merged).map(({ name }) => name);
    expect(names).toEqual([...new Set(names)]);
    const cumulative = (file: string, ...args: string[]) => top(...args, file).get('main.main')?.[1] ?? 0;
    const go = cumulative(files.goOnly);
    expect(go).toBeGreaterThanOrEqual(GO_BYTES);
    expect(cumulative(files.merged, '-tagfocus=allocator=c')).toBe(C.bytes);
    expect(cumulative(files.merged, '-tagfocus=allocator=go')).toBe(go);
    expect(cumulative(files.merged)).toBe(C.bytes + go);
  });

  it('is one entry in the file, and one location where both sides came through the same call', () => {
    const samples = check(files.merged).Samples.filter(({ Stack }) =>
      Stack.some(({ Lines }) => Lines.some(({ Name }) => Name === 'main.main')),
    );
    const onSide = (side: string) => samples.filter(({ Labels }) => Labels?.allocator?.[0] === side);
    const entries = (side: string) => {
      const lines = onSide(side).flatMap(({ Stack }) => Stack.flatMap(({ Lines }) => Lines));
      return new Set(lines.filter(({ Name }) => Name === 'main.main').map(({ FunctionID }) => FunctionID));
    };
    expect(entries('c').size).toBe(1);
    expect(entries('go')).toEqual(entries('c'));
    // runtime.main calls main.main, whoever allocates in the end.
    const roots = (side: string) => new Set(onSide(side).map(({ Stack }) => Stack.at(-1)?.ID));
    expect(roots('c').size).toBe(1);
    expect(roots('go')).toEqual(roots('c'));
  });
});

describe('go tool pprof', () => {
  it('-tagroot splits by allocator', () => {
    const total = (...args: string[]) => topRows(...args, files.merged).reduce((sum, { flat }) => sum + flat, 0);
    const roots = top('-tagroot=allocator', files.merged);
    expect(roots.get('c')).toEqual([0, total('-tagfocus=allocator=c')]);
    expect(roots.get('go')).toEqual([0, total('-tagfocus=allocator=go')]);
    expect(total()).toBe(total('-tagfocus=allocator=c') + total('-tagfocus=allocator=go'));
    expect(top('-tagroot=allocator', '-focus=^hold$', files.merged).get('c')).toEqual([0, C.bytes]);
  });

  it('-tagfocus and -tagignore leave one side', () => {
    expect(top('-tagfocus=allocator=c', files.merged).has('main.holdGo')).toBe(false);
    expect(top('-tagignore=allocator=c', files.merged).has('hold')).toBe(false);
    expect(top('-tagfocus=allocator=c', files.merged).get('hold')).toEqual([C.bytes, C.bytes]);
    expect(top('-tagignore=allocator=c', files.merged).get('main.holdGo')).toEqual(
      top(files.goOnly).get('main.holdGo'),
    );
  });

  it.each(['-base', '-diff_base'])('%s shows the growth of both sides, and of nothing else', (base) => {
    const growth = top(base, files.merged, files.grown);
    expect(growth.get('hold')).toEqual([C.bytes, C.bytes]);
    expect(growth.get('main.holdC')).toEqual([0, C.bytes]);
    const lines = top('-lines', base, files.merged, files.grown);
    expect(lines.get(`main.holdGo ${GO.path}:${GO.line}`)).toEqual([GO_BYTES, GO_BYTES]);
    expect(topRows(base, files.merged, files.merged).filter(({ flat }) => flat !== 0)).toEqual([]);
  });

  it('-base of Go’s own profile leaves what C holds', () => {
    const rest = top('-base', files.goOnly, '-focus=main', files.merged);
    expect(rest.get('main.main')).toEqual([0, C.bytes]);
    expect(rest.get('main.holdGo') ?? [0, 0]).toEqual([0, 0]);
  });

  it('-lines and -list show the lines of both', () => {
    const lines = top('-lines', files.merged);
    expect(lines.get(`hold ${C.path}:${C.line}`)).toEqual([C.bytes, C.bytes]);
    expect(lines.get(`main.holdGo ${GO.path}:${GO.line}`)).toEqual([GO_BYTES, GO_BYTES]);
    const routines = list(['hold', 'main.holdGo', 'main.main'], files.merged);
    expect(routines.get('hold')?.lines.get(C.line)).toEqual([C.bytes, C.bytes]);
    expect(routines.get('main.holdGo')?.lines.get(GO.line)).toEqual([GO_BYTES, GO_BYTES]);
    const source = readFileSync(GO.path, 'utf8').split('\n');
    expect(routines.get('main.main')?.lines.get(source.indexOf('\tholdC()') + 1)).toEqual([0, C.bytes]);
  });

  it('-traces and -peek have C above Go, and Go above Go', () => {
    const traces = pprof('-unit=B', '-traces', '-focus=^hold$', files.merged);
    expect(traces).toMatch(
      new RegExp(
        `allocator:\\s+c\\n\\s+bytes:.*\\n\\s+${C.bytes}B\\s+hold\\n\\s+main\\._Cfunc_hold\\n\\s+main\\.holdC`,
      ),
    );
    const peek = pprof('-unit=B', '-peek=^main.main$', files.merged);
    const [, callees = ''] = peek.split(/\| main\.main$/m);
    expect(callees).toMatch(new RegExp(`^\\s+${C.bytes}B\\s.*\\|\\s+main\\.holdC`, 'm'));
    expect(callees).toMatch(/^\s+\d+B\s.*\|\s+main\.holdGo$/m);
  });

  it('-dot draws each function once', () => {
    const dot = pprof('-dot', '-nodecount=100000', '-nodefraction=0', '-edgefraction=0', files.merged);
    const nodes = [...dot.matchAll(/^N\d+ \[label="((?:[^"\\]|\\.)*?)\\n[\d.]/gm)].map(([, label]) => label);
    expect(nodes).toContain('main\\nmain');
    expect(nodes).toEqual([...new Set(nodes)]);
  });
});
