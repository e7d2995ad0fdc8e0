/**
 * The frames of a profile as a text can have them: text knows addresses only, and its reader asks /debug/pprof/symbol for
 * one name each.
 *
 * Addresses are inside the call (return address - 1), as in a profile's locations; `go tool pprof` subtracts the 1 itself
 * and asks for what is left.
 */
import type { Line, Location, Mapping, Profile, Function as ProfileFunction, Sample } from 'pprof-format';
import { PSEUDO_FRAMES } from './c-profile.js';
import { type Int64, int64, uint64 } from './int64.js';

/** One function in a stack, inlined or not. */
export interface TextFrame {
  /** What stands for it. */
  readonly address: bigint;
  /** Where its code is. */
  readonly pc: bigint;
  /** As it is in the profile. */
  readonly name: string;
  /** FILE:LINE; '' unknown. */
  readonly place: string;
}

/**
 * Where frames lie that share an address with another one's: so many times STEP higher, where no processor finds code.
 * Those are functions into which others were inlined, and the code of a library that was loaded where another had been.
 */
const STEP = 1n << 56n;

/** Where frames lie that are no code. */
const NOWHERE = 1n << 62n;

/** Two addresses each, as any frame has: the call's and the one to which it returns. */
function pseudoIndex(address: bigint): number {
  return Number((address - NOWHERE) >> 1n);
}

/** Whether an address may lie in a process. */
export function isSomewhere(address: bigint): boolean {
  return address < STEP;
}

/**
 * Functions at which `go tool pprof` cuts the stacks of a heap profile in text form, towards the leaf, taking them for the
 * allocator: a fixed list, of whole names without arguments.
 *
 * Source: google/pprof profile/legacy_profile.go (allocRxStr), profile/prune.go (simplifyFunc). Without the Go runtime's,
 * and without those that it tells by their class.
 */
const CUT_AT = new RegExp(
  `^(${[
    '(c|m|re|v|pv)alloc|c?free|(do_)?memalign|(__)?posix_memalign|__libc_malloc',
    'tc_([cm]|re|v|pv)alloc|tc_c?free|tc_(posix_)?memalign|tc_(new|delete)(array)?|tc_new(array)?_nothrow',
    'malloc_zone_((m|c|v|re)alloc|memalign|free)',
    '(::)?do_malloc(_no_errno|_pages)?|DoSampledAllocation|MallocedMemBlock::MallocedMemBlock|_M_allocate',
    '__builtin_(vec_)?(new|delete)|(__gnu_cxx::new_allocator|__malloc_alloc_template|simple_alloc)::allocate',
    'allocate|cpp_alloc|operator new(\\[\\])?',
  ].join('|')})$`,
);

/**
 * A function of the program that has an allocator's name stays in view if it does not quite have it: a space, behind the
 * name, is what shows least. The allocator itself is left out of stacks before.
 */
export function nameThatStays(name: string): string {
  const bare = name.replace(/\(.*$/s, '');
  return CUT_AT.test(bare) ? `${bare} ${name.slice(bare.length)}` : name;
}

/** Go's own frames, at which `go tool pprof` cuts as well. */
const RUNTIME = /^runtime\.(?!panic$|reflectcall$|call\d*$)/;

/**
 * A stack without those frames of Go's runtime that would have the C frames below them cut off: a call in a deferred
 * function has them, and cgo's own with --show-plumbing. Those at the root do no harm.
 */
export function withoutCuts(stack: readonly TextFrame[]): readonly TextFrame[] {
  const isCut = ({ name }: TextFrame) => RUNTIME.test(name);
  let root = stack.length;
  for (let frame = stack[root - 1]; frame !== undefined && isCut(frame); frame = stack[root - 1]) root -= 1;
  return stack.filter((frame, i) => i >= root || !isCut(frame));
}

/** As Go prints a name: type arguments left out. */
export function printedGoName(name: string): string {
  const first = name.indexOf('[');
  const last = name.lastIndexOf(']');
  return first <= 0 || last <= first ? name : `${name.slice(0, first)}[...]${name.slice(last + 1)}`;
}

/** One profile's tables. */
class ProfileTables {
  readonly #functions: ReadonlyMap<Int64, ProfileFunction>;
  readonly #mappings: ReadonlyMap<Int64, Mapping>;

  constructor(private readonly profile: Profile) {
    this.#functions = new Map(profile.function.map((fn) => [int64(fn.id), fn]));
    this.#mappings = new Map(profile.mapping.map((mapping) => [int64(mapping.id), mapping]));
  }

  /** Name and place of a line. */
  line({ functionId, line }: Line): { readonly name: string; readonly place: string } {
    const fn = this.#functions.get(int64(functionId));
    const file = this.#text(fn?.filename);
    const name = this.#text(fn?.name);
    // C++ has brackets in names, too.
    return { name: file.endsWith('.go') ? printedGoName(name) : name, place: file === '' ? '' : `${file}:${line}` };
  }

  /** What a location is in. */
  image({ mappingId }: Location): string {
    const mapping = this.#mappings.get(int64(mappingId));
    return this.#text(mapping?.buildId) || this.#text(mapping?.filename);
  }

  #text(index: number | bigint | undefined): string {
    return this.profile.stringTable.strings[Number(index ?? 0)] ?? '';
  }
}

/** Frames of profiles of one process, by location and by address. */
export class TextFrames {
  readonly #byLocation = new Map<Profile, Map<Int64, TextFrame[]>>();
  readonly #byAddress = new Map<bigint, { readonly frame: TextFrame; readonly image: string }>();

  /** @param profiles In an order that is always the same: addresses depend on it. */
  constructor(profiles: readonly Profile[]) {
    for (const profile of profiles) {
      const tables = new ProfileTables(profile);
      const framesOf = (location: Location) =>
        location.line.flatMap((line) => this.#frame(tables, location, line) ?? []);
      this.#byLocation.set(profile, new Map(profile.location.map((one) => [int64(one.id), framesOf(one)])));
    }
  }

  /** Leaf first. */
  stack(profile: Profile, { locationId }: Sample): TextFrame[] {
    const frames = this.#byLocation.get(profile);
    return locationId.flatMap((id) => frames?.get(int64(id)) ?? []);
  }

  /** Of the frame at an address; else of the one whose call returns to it. Fit for the reader of a text. */
  nameAt(address: bigint): string | undefined {
    const known = this.#byAddress.get(address) ?? this.#byAddress.get(address - 1n);
    return known === undefined ? PSEUDO_FRAMES[pseudoIndex(address)] : nameThatStays(known.frame.name);
  }

  /** Undefined beyond the 64th at one address. */
  #frame(tables: ProfileTables, location: Location, line: Line): TextFrame | undefined {
    const { name, place } = tables.line(line);
    const image = tables.image(location);
    const pseudo = PSEUDO_FRAMES.indexOf(name);
    const pc = pseudo < 0 ? uint64(location.address) : NOWHERE + 2n * BigInt(pseudo);
    for (let address = pc; address === pc || address < NOWHERE; address += STEP) {
      const known = this.#byAddress.get(address);
      if (known?.image === image && known.frame.name === name && known.frame.place === place) return known.frame;
      if (known !== undefined) continue;
      const frame = { address, pc, name, place };
      this.#byAddress.set(address, { frame, image });
      return frame;
    }
    return undefined;
  }
}
