/**
 * Which frames of a C allocation's stack are machinery, and not where anybody's memory comes from.
 *
 * One table; a name that no rule matches is shown. Kept on purpose, because they tell a reader something:
 *  - `main._Cfunc_X`, the Go half of a call of C.X: it names the call, and Go's own profiles show it (C.CString);
 *  - the C function that an //export makes: C code calls it by that name;
 *  - strdup, getline and other libc functions that allocate: their caller knows them as what it called;
 *  - std::allocator and friends: they are inlined code of the user's own lines.
 */
import type { SourceLine } from '../native-binding.js';

/** When a rule's frames are left out. */
type Hidden =
  /** Wherever they stand, whatever was asked for. */
  | 'always'
  /** At the leaf end: the allocator itself. The same name in mid-stack is somebody's code. */
  | 'at-leaf'
  /** Wherever they stand, unless plumbing was asked for. */
  | 'plumbing';

interface FrameRule {
  readonly hidden: Hidden;
  readonly names: RegExp;
  readonly why: string;
}

/** Go functions written in assembler may carry the suffix of their calling convention, .abi0. */
const RULES: readonly FrameRule[] = [
  {
    hidden: 'always',
    names: /^runtime\.goexit(\.abi0)?$/,
    why: 'the end marker below every goroutine; runtime/pprof leaves it out of every profile',
  },
  {
    hidden: 'at-leaf',
    names: /^(malloc|calloc|realloc|reallocarray|posix_memalign|aligned_alloc|memalign|valloc|pvalloc)$/,
    why: 'an allocator, or a wrapper that took its name: the leaf is the line that called it',
  },
  {
    hidden: 'at-leaf',
    names: /^operator new(\[\])?(\(|$)/,
    why: 'C++ allocation functions; a class member (Foo::operator new) is the program’s own and stays',
  },
  {
    hidden: 'at-leaf',
    names: /^_Zn[wa][jm]/,
    why: 'the same, where no demangled name was found',
  },
  {
    hidden: 'at-leaf',
    names: /^(__rustc::)?__r(ust|dl|g)_(alloc|alloc_zeroed|realloc)$/,
    why: 'Rust’s counterpart of operator new',
  },
  {
    hidden: 'plumbing',
    names: /^runtime\.(cgocall|asmcgocall|asmcgocall_landingpad|asmcgocall_no_g)(\.abi0)?$/,
    why: 'the way from Go to C: switches stacks',
  },
  {
    hidden: 'plumbing',
    names: /^_cgo_[0-9a-f]+_C2?func_/,
    why: 'C half of a cgo call: unpacks the arguments (and takes errno, _C2func)',
  },
  {
    hidden: 'plumbing',
    names: /\._cgo_cmalloc(\.abi0)?$/,
    why: 'how C.malloc, C.CString and C.CBytes reach malloc; the frame above names which of them it was',
  },
  {
    hidden: 'plumbing',
    names: /^(runtime\.cgocallback(g|g1)?|crosscall2)(\.abi0)?$/,
    why: 'the way from C back to Go: finds a goroutine and switches stacks',
  },
  {
    hidden: 'plumbing',
    names: /^_cgoexp_[0-9a-f]+_/,
    why: 'Go half of an exported function: unpacks the arguments',
  },
];

function matches(name: string, hidden: Hidden): boolean {
  return RULES.some((rule) => rule.hidden === hidden && rule.names.test(name));
}

/** Whether a line is shown wherever it stands in a stack. */
export function isShown(line: SourceLine, showPlumbing: boolean): boolean {
  return !matches(line.name, 'always') && (showPlumbing || !matches(line.name, 'plumbing'));
}

/** Whether a line, standing at the leaf, is the allocator itself. */
export function isAllocator(line: SourceLine): boolean {
  return matches(line.name, 'at-leaf');
}
