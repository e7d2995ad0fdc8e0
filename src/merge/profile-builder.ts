/**
 * Builds one pprof profile out of parts that may repeat: each mapping, function, location and sample that means the
 * same is stored once. What "the same" is follows google/pprof's profile/merge.go, so that what this tool merges and
 * what `go tool pprof a b` merges agree: one method and one key per message of profile.proto.
 */
import { randomInt } from 'node:crypto';
import {
  Label,
  Line,
  Location,
  Mapping,
  Profile,
  Function as ProfileFunction,
  Sample,
  StringTable,
  ValueType,
} from 'pprof-format';
import { PERIOD_TYPE, SAMPLE_TYPES } from './heap-profile.js';
import { addInt64, type Int64 } from './int64.js';

/** A stretch of a file that was mapped executable. Addresses and offset in bytes. */
export interface MappingSpec {
  readonly start: bigint;
  readonly limit: bigint;
  readonly offset: bigint;
  readonly file: string;
  /** GNU build id, lower-case hex; '' when there is none. */
  readonly buildId: string;
}

export interface FunctionSpec {
  readonly name: string;
  readonly systemName: string;
  readonly file: string;
  readonly startLine: Int64;
}

export interface LineSpec {
  readonly functionId: number;
  readonly line: Int64;
  readonly column: Int64;
}

export interface LabelSpec {
  readonly key: string;
  /** '' for a numeric label. */
  readonly str: string;
  readonly num: Int64;
  readonly unit: string;
}

export interface ProfileHeader {
  /** Unix time, ns; 0 unknown. */
  readonly timeNanos: Int64;
  readonly durationNanos: Int64;
  /** Mean bytes between samples. */
  readonly period: Int64;
  readonly comments: readonly string[];
  readonly dropFrames: string;
  readonly keepFrames: string;
  readonly docUrl: string;
}

/** Where a mapping went: addresses of the source need `shift` added. */
export interface PlacedMapping {
  readonly id: number;
  readonly shift: bigint;
}

/** Granularity of mapping addresses. Bytes. */
const PAGE = 4096n;

function roundDown(address: bigint): bigint {
  return address - (address % PAGE);
}

/** As google/pprof: independent of where the loader put the file, and of sizes that end within a page. */
function mappingKey(mapping: MappingSpec): string {
  const size = roundDown(mapping.limit - mapping.start + PAGE - 1n);
  return `${size}:${mapping.offset}:${mapping.buildId || mapping.file}`;
}

function isSameFile(a: MappingSpec, b: MappingSpec): boolean {
  if (a.buildId !== '' && b.buildId !== '') return a.buildId === b.buildId;
  return a.file !== '' && a.file === b.file;
}

/** Where the file's first byte would lie. */
function mappingBase(mapping: MappingSpec): bigint {
  return roundDown(mapping.start) - roundDown(mapping.offset);
}

function overlaps(a: MappingSpec, b: MappingSpec): boolean {
  return a.start < b.limit && b.start < a.limit;
}

/** A mapping as one source describes it, and where it went. */
interface Placement {
  readonly spec: MappingSpec;
  readonly placed: PlacedMapping;
}

/** A stack and its samples, one for each set of labels: few. */
interface Stack {
  readonly locations: number[];
  readonly labels: number[];
  readonly samples: Sample[];
  /** Another one of the same hash. */
  readonly next: Stack | undefined;
}

/** Nobody can know beforehand which stacks will have one hash, and make us search a long chain of them. */
const HASH_SEED = randomInt(2 ** 32);

/** FNV-1a over the ids, in the range of V8's small integers: far cheaper than a string of them. */
function stackHash(locations: readonly number[]): number {
  let hash = HASH_SEED;
  for (let i = 0; i < locations.length; i++) hash = Math.imul(hash ^ (locations[i] ?? 0), 0x01000193);
  return (hash ^ (hash >>> 15)) & 0x3fffffff;
}

function isSameStack(a: readonly number[], b: readonly number[]): boolean {
  if (a === b) return true;
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

export class ProfileBuilder {
  readonly #strings = new StringTable();
  readonly #mappingSpecs: MappingSpec[] = [];
  readonly #mappings = new Map<string, { readonly id: number; readonly start: bigint }>();
  /** By mappingBase. */
  readonly #placements = new Map<bigint, Placement[]>();
  readonly #functions: ProfileFunction[] = [];
  readonly #functionIds = new Map<string, number>();
  readonly #locations: Location[] = [];
  readonly #locationIds = new Map<string, number>();
  readonly #labelSets: Label[][] = [];
  readonly #labelSetIds = new Map<string, number>();
  readonly #samples: Sample[] = [];
  /** By {@link stackHash}. */
  readonly #stacks = new Map<number, Stack>();

  get hasMappings(): boolean {
    return this.#mappingSpecs.length > 0;
  }

  /** The first mapping added stays first: readers take it for the main binary. */
  addMapping(spec: MappingSpec): PlacedMapping {
    const base = mappingBase(spec);
    const here = this.#placements.get(base) ?? [];
    // The same file at the same place in the same address space may be described differently: Go copies the lines of
    // /proc/self/maps, a segment's module has the ELF segment, whose ends need not be those of a page.
    const known = here.find((other) => overlaps(spec, other.spec) && isSameFile(spec, other.spec));
    if (known !== undefined) return known.placed;
    const placed = this.#placeByKey(spec);
    here.push({ spec, placed });
    this.#placements.set(base, here);
    return placed;
  }

  #placeByKey(spec: MappingSpec): PlacedMapping {
    const key = mappingKey(spec);
    const first = this.#mappings.get(key);
    if (first !== undefined) return { id: first.id, shift: first.start - spec.start };
    const id = this.#mappingSpecs.push(spec);
    this.#mappings.set(key, { id, start: spec.start });
    return { id, shift: 0n };
  }

  addFunction(spec: FunctionSpec): number {
    const name = this.#strings.dedup(spec.name);
    const systemName = this.#strings.dedup(spec.systemName);
    const filename = this.#strings.dedup(spec.file);
    const key = `${spec.startLine}:${name}:${systemName}:${filename}`;
    let id = this.#functionIds.get(key);
    if (id === undefined) {
      id = this.#functions.length + 1;
      this.#functions.push(new ProfileFunction({ id, name, systemName, filename, startLine: spec.startLine }));
      this.#functionIds.set(key, id);
    }
    return id;
  }

  /**
   * @param mappingId From {@link addMapping}; 0 for none.
   * @param address Already shifted into that mapping's first source.
   * @param lines Innermost inlined function first.
   */
  addLocation(mappingId: number, address: bigint, lines: readonly LineSpec[], isFolded = false): number {
    const start = this.#mappingSpecs[mappingId - 1]?.start ?? 0n;
    let key = `${mappingId}:${address - start}:${isFolded}`;
    for (const { functionId, line, column } of lines) key += `|${functionId}:${line}:${column}`;
    let id = this.#locationIds.get(key);
    if (id === undefined) {
      id = this.#locations.length + 1;
      const line = lines.map((spec) => new Line(spec));
      this.#locations.push(new Location({ id, mappingId, address: BigInt.asUintN(64, address), line, isFolded }));
      this.#locationIds.set(key, id);
    }
    return id;
  }

  /** An interned set of labels, for {@link addSample}. Order does not matter, save among labels of one key. */
  addLabels(labels: readonly LabelSpec[]): number {
    const sorted = [...labels].sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));
    const key = JSON.stringify(sorted.map(({ key, str, num, unit }) => [key, str, `${num}`, unit]));
    let id = this.#labelSetIds.get(key);
    if (id === undefined) {
      id = this.#labelSets.push(sorted.map((spec) => this.#label(spec))) - 1;
      this.#labelSetIds.set(key, id);
    }
    return id;
  }

  #label({ key, str, num, unit }: LabelSpec): Label {
    const dedup = (text: string) => this.#strings.dedup(text);
    return new Label({ key: dedup(key), str: dedup(str), num, numUnit: dedup(unit) });
  }

  /**
   * Adds values to the sample with this stack and these labels. All zero: leaves no trace.
   *
   * @param locations Leaf first. Kept: must not change any more.
   * @param labels From {@link addLabels}.
   * @param values One per sample type.
   */
  addSample(locations: number[], labels: number, values: readonly Int64[]): void {
    if (values.every((value) => value === 0)) return;
    const hash = stackHash(locations);
    const first = this.#stacks.get(hash);
    let stack = first;
    while (stack !== undefined && !isSameStack(stack.locations, locations)) stack = stack.next;
    const known = stack?.samples[stack.labels.indexOf(labels)];
    if (known !== undefined) {
      known.value = known.value.map((value, i) => addInt64(value, values[i] ?? 0));
      return;
    }
    // Stacks may be deep, and stand in many samples: each is kept once.
    const sample = new Sample({ locationId: stack?.locations ?? locations, value: [...values] });
    sample.label = this.#labelSets[labels] ?? [];
    this.#samples.push(sample);
    if (stack === undefined) {
      this.#stacks.set(hash, { locations, labels: [labels], samples: [sample], next: first });
    } else {
      stack.labels.push(labels);
      stack.samples.push(sample);
    }
  }

  /** The profile. The builder must not be used afterwards. */
  build(header: ProfileHeader): Profile {
    const dedup = (text: string) => this.#strings.dedup(text);
    const valueType = ({ type, unit }: { type: string; unit: string }) =>
      new ValueType({ type: dedup(type), unit: dedup(unit) });
    return new Profile({
      sampleType: SAMPLE_TYPES.map(valueType),
      // Values of opposite sign, as in a delta profile, may have cancelled out.
      sample: this.#samples.filter((sample) => sample.value.some((value) => value !== 0)),
      mapping: this.#buildMappings(),
      location: this.#locations,
      function: this.#functions,
      timeNanos: header.timeNanos,
      durationNanos: header.durationNanos,
      periodType: valueType(PERIOD_TYPE),
      period: header.period,
      comment: header.comments.map(dedup),
      dropFrames: dedup(header.dropFrames),
      keepFrames: dedup(header.keepFrames),
      docUrl: dedup(header.docUrl),
      stringTable: this.#strings,
    });
  }

  /**
   * hasFunctions is set on every mapping, whatever is known of it: it is what keeps `go tool pprof` from looking for
   * binaries, and from asking the server, for names that it would get wrong. The other three tell what is there.
   */
  #buildMappings(): Mapping[] {
    const mappings = this.#mappingSpecs.map(
      (spec, i) =>
        new Mapping({
          id: i + 1,
          memoryStart: spec.start,
          memoryLimit: spec.limit,
          fileOffset: spec.offset,
          filename: this.#strings.dedup(spec.file),
          buildId: this.#strings.dedup(spec.buildId),
          hasFunctions: true,
        }),
    );
    for (const location of this.#locations) {
      const mapping = mappings[Number(location.mappingId) - 1];
      if (mapping === undefined) continue;
      mapping.hasInlineFrames ||= location.line.length > 1;
      for (const line of location.line) {
        mapping.hasLineNumbers ||= line.line !== 0;
        mapping.hasFilenames ||= this.#functions[Number(line.functionId) - 1]?.filename !== 0;
      }
    }
    return mappings;
  }
}
