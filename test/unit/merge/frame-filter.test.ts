import { describe, expect, test } from 'vitest';
import { isAllocator, isShown } from '../../../src/merge/frame-filter.js';
import { sourceLine } from '../../support/segment-fixture.js';

describe('plumbing of cgo', () => {
  test.each([
    'runtime.cgocall',
    'runtime.asmcgocall',
    'runtime.asmcgocall.abi0',
    'runtime.asmcgocall_landingpad.abi0',
    '_cgo_55652d0f93b4_Cfunc_leak',
    '_cgo_55652d0f93b4_Cfunc_leak.cold',
    '_cgo_55652d0f93b4_Cfunc__Cmalloc',
    '_cgo_77133bf98b3a_C2func_getaddrinfo',
    'main._cgo_cmalloc',
    'github.com/mattn/go-sqlite3._cgo_cmalloc.abi0',
    'crosscall2',
    'runtime.cgocallback',
    'runtime.cgocallback.abi0',
    'runtime.cgocallbackg',
    'runtime.cgocallbackg1',
    '_cgoexp_55652d0f93b4_goCallback',
  ])('%s is hidden, and shown on demand', (name) => {
    expect(isShown(sourceLine(name), false)).toBe(false);
    expect(isShown(sourceLine(name), true)).toBe(true);
  });

  test.each([
    'main._Cfunc_leak',
    'main._Cfunc_CString',
    'goCallback',
    'runtime.main',
    'runtime.cgocallbackgx',
    'my_cgo_55652d0f93b4_Cfunc_leak',
    'strdup',
    'Foo::malloc',
    'std::__new_allocator<int>::allocate',
    '',
  ])('%s is shown', (name) => {
    expect(isShown(sourceLine(name), false)).toBe(true);
    expect(isAllocator(sourceLine(name))).toBe(false);
  });
});

test.each(['runtime.goexit', 'runtime.goexit.abi0'])('%s is never shown', (name) => {
  expect(isShown(sourceLine(name), true)).toBe(false);
});

describe('allocators', () => {
  test.each([
    'malloc',
    'calloc',
    'realloc',
    'reallocarray',
    'posix_memalign',
    'aligned_alloc',
    'memalign',
    'valloc',
    'pvalloc',
    'operator new(unsigned long)',
    'operator new[](unsigned long, std::nothrow_t const&)',
    'operator new',
    '_Znwm',
    '_ZnamSt11align_val_t',
    '__rust_alloc',
    '__rustc::__rust_realloc',
    '__rdl_alloc_zeroed',
  ])('%s is one, and is shown where it is not the leaf', (name) => {
    expect(isAllocator(sourceLine(name))).toBe(true);
    expect(isShown(sourceLine(name), false)).toBe(true);
  });

  test.each(['Pool::operator new(unsigned long)', 'operator newline(int)', 'xmalloc', 'malloc_table', '_Znotnew'])(
    '%s is somebody’s code',
    (name) => {
      expect(isAllocator(sourceLine(name))).toBe(false);
    },
  );
});
