import { describe, expect, it } from 'vitest';
import { cProfile } from '../../../src/merge/c-profile.js';
import { cgoCallOf } from '../../../src/merge/cgo-call.js';
import { siteEstimates } from '../../../src/merge/site-estimates.js';
import { symbolizedSegment } from '../../support/segment-fixture.js';

describe('cgoCallOf', () => {
  it.each([
    ['main._Cfunc_CString', '_cgo_gotypes.go', 'C.CString'],
    ['example.com/a/b%2ec._C2func_my_alloc', '_cgo_gotypes.go', 'C.my_alloc'],
    ['main._Cfunc__CMalloc', '_cgo_gotypes.go', 'C.malloc'],
    ['main._Cfunc_CBytes.abi0', '', 'C.CBytes'],
    ['main._cgo_cmalloc', '/b001/_cgo_gotypes.go', '_cgo_cmalloc'],
  ])('names the call of %s', (name, file, call) => {
    expect(cgoCallOf({ function: name, file, line: 64 })).toBe(call);
  });

  it.each([
    ['main.main', '/srv/app/main.go'],
    ['hold_Cfunc_', '/srv/app/cache.c'],
    ['main.f', '/srv/app/my_cgo_gotypes.go'],
  ])('leaves %s of %s', (name, file) => {
    expect(cgoCallOf({ function: name, file, line: 64 })).toBeUndefined();
  });
});

describe('siteEstimates of callers', () => {
  const placesOf = (...stacks: string[][]) => {
    const buckets = stacks.map((stack) => ({ stack, allocs: 1, allocBytes: 7 }));
    const profile = cProfile(symbolizedSegment({ rate: 1, buckets }), { showPlumbing: false });
    return siteEstimates([profile], cgoCallOf).map(({ function: name, line, via }) => [name, line, via]);
  };

  it('leaves lines that call the allocator themselves as they are', () => {
    expect(placesOf(['hold@a.c:7', 'main._Cfunc_hold@_cgo_gotypes.go:3', 'main.f@a.go:5'])).toEqual([
      ['hold', 7, undefined],
    ]);
  });

  it('tells calls of one line apart by their names', () => {
    const caller = 'main.f@a.go:5';
    expect(
      placesOf(['main._Cfunc_CString@_cgo_gotypes.go:3', caller], ['main._Cfunc_CBytes@_cgo_gotypes.go:9', caller]),
    ).toEqual([
      ['main.f', 5, 'C.CString'],
      ['main.f', 5, 'C.CBytes'],
    ]);
  });

  it('keeps the generated line where nothing else is known', () => {
    expect(placesOf(['main._Cfunc_CString@_cgo_gotypes.go:64'])).toEqual([['main._Cfunc_CString', 64, undefined]]);
  });
});
