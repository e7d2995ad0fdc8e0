/**
 * Which lines cgo generates for calls of C, and what those calls are called in the source: `C.CString`. What is allocated
 * at one of them (the allocator itself, called as C.malloc or by C.CString) says nothing to a reader without its caller.
 *
 * Names: cmd/cgo/out.go, Go 1.26.
 */
import type { CallName } from './site-estimates.js';

/** Where cgo writes them to. */
const GENERATED = /(^|\/)_cgo_gotypes\.go$/;

const STUB = /\._C2?func_(\w+?)(\.abi0)?$/;

/** C.malloc, which never fails, has a stub of another name. */
const RENAMED: ReadonlyMap<string, string> = new Map([['_CMalloc', 'malloc']]);

export const cgoCallOf: CallName = ({ function: name, file }) => {
  const called = STUB.exec(name)?.[1];
  if (called !== undefined) return `C.${RENAMED.get(called) ?? called}`;
  return GENERATED.test(file) ? name.slice(name.lastIndexOf('.') + 1) : undefined;
};
