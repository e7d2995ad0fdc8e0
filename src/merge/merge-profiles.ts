/**
 * Go's heap profile and the C profile in one: google/pprof's merge (profile/merge.go), with three additions of ours.
 *
 *  - Mappings that two sources describe differently are recognized (see ProfileBuilder.addMapping), so that a Go
 *    function has one location whichever side it was found on.
 *  - Every location gets a name, since no reader is to look for one (see ProfileBuilder.build).
 *  - Where the two sides were sampled at different rates, a comment says so: a profile has room for one period only.
 */
import type { Label, Location, Mapping, Profile, Function as ProfileFunction, Sample } from 'pprof-format';
import { CSide } from './c-profile.js';
import { heapTypeMismatch } from './heap-profile.js';
import { addInt64, compareInt64, type Int64, int64, uint64 } from './int64.js';
import {
  type LabelSpec,
  type LineSpec,
  type PlacedMapping,
  ProfileBuilder,
  type ProfileHeader,
} from './profile-builder.js';
import { ProfileError } from './profile-error.js';
import { addressName } from './unnamed-frame.js';

export interface MergeInput {
  /** Go heap profiles, from parseHeapProfile. The main binary is the first one's. */
  readonly go: readonly Profile[];
  /** Or profiles of it, from cProfile or merged before. */
  readonly c: readonly (CSide | Profile)[];
  /** Added to those that the profiles carry; repeated ones are kept once. */
  readonly comments?: readonly string[];
}

function byId<T extends { id: number | bigint }>(items: readonly T[]): ReadonlyMap<Int64, T> {
  return new Map(items.map((item) => [int64(item.id), item]));
}

/** Carries one profile's samples over to the builder. Each location is carried over once, when first needed. */
class Source {
  readonly #mappings: ReadonlyMap<Int64, Mapping>;
  readonly #functions: ReadonlyMap<Int64, ProfileFunction>;
  readonly #locations: ReadonlyMap<Int64, Location>;
  readonly #placed = new Map<Mapping, PlacedMapping>();
  readonly #carried = new Map<Int64, number>();
  readonly #carriedLabels = new Map<string, number>();

  constructor(
    private readonly profile: Profile,
    private readonly builder: ProfileBuilder,
  ) {
    this.#mappings = byId(profile.mapping);
    this.#functions = byId(profile.function);
    this.#locations = byId(profile.location);
  }

  carryOver(): void {
    // The first mapping stands for the main binary, used or not.
    const [main] = this.profile.mapping;
    if (main !== undefined && !this.builder.hasMappings) this.#place(main);
    for (const sample of this.profile.sample) this.#sample(sample);
  }

  #text(index: number | bigint): string {
    return this.profile.stringTable.strings[Number(index)] ?? '';
  }

  #sample({ locationId, value, label }: Sample): void {
    const values = value.map(int64);
    if (values.every((one) => one === 0)) return;
    const locations = locationId.map((id) => this.#location(int64(id)));
    this.builder.addSample(locations, this.#labels(label), values);
  }

  /** Samples are many, sets of labels few. */
  #labels(labels: readonly Label[]): number {
    const key = labels.map(({ key, str, num, numUnit }) => `${key} ${str} ${num} ${numUnit}`).join();
    let carried = this.#carriedLabels.get(key);
    if (carried === undefined) {
      carried = this.builder.addLabels(labels.map((label) => this.#label(label)));
      this.#carriedLabels.set(key, carried);
    }
    return carried;
  }

  #label({ key, str, num, numUnit }: Label): LabelSpec {
    return { key: this.#text(key), str: this.#text(str), num: int64(num), unit: this.#text(numUnit) };
  }

  #location(id: Int64): number {
    let carried = this.#carried.get(id);
    if (carried === undefined) {
      const location = this.#locations.get(id);
      if (location === undefined)
        throw new ProfileError('merge', `a sample refers to location ${id}, which is missing`);
      carried = this.#carryLocation(location);
      this.#carried.set(id, carried);
    }
    return carried;
  }

  #carryLocation(location: Location): number {
    const address = uint64(location.address);
    const mapping = this.#mappings.get(int64(location.mappingId));
    const placed = mapping === undefined ? { id: 0, shift: 0n } : this.#place(mapping);
    const lines = location.line.map(({ functionId, line, column }) => ({
      functionId: this.#function(int64(functionId)),
      line: int64(line),
      column: int64(column),
    }));
    if (lines.length === 0) lines.push(this.#unnamed(address, mapping));
    return this.builder.addLocation(placed.id, address + placed.shift, lines, location.isFolded);
  }

  #unnamed(address: bigint, mapping: Mapping | undefined): LineSpec {
    // Without the ELF headers, the offset in the file is the best guess at the virtual address.
    const inFile = mapping === undefined ? 0n : uint64(mapping.fileOffset) - uint64(mapping.memoryStart);
    const name = addressName(mapping === undefined ? '' : this.#text(mapping.filename), address + inFile);
    return {
      functionId: this.builder.addFunction({ name, systemName: name, file: '', startLine: 0 }),
      line: 0,
      column: 0,
    };
  }

  #place(mapping: Mapping): PlacedMapping {
    let placed = this.#placed.get(mapping);
    if (placed === undefined) {
      placed = this.builder.addMapping({
        start: uint64(mapping.memoryStart),
        limit: uint64(mapping.memoryLimit),
        offset: uint64(mapping.fileOffset),
        file: this.#text(mapping.filename),
        buildId: this.#text(mapping.buildId),
      });
      this.#placed.set(mapping, placed);
    }
    return placed;
  }

  #function(id: Int64): number {
    const spec = this.#functions.get(id);
    if (spec === undefined) throw new ProfileError('merge', `a location refers to function ${id}, which is missing`);
    return this.builder.addFunction({
      name: this.#text(spec.name),
      systemName: this.#text(spec.systemName),
      file: this.#text(spec.filename),
      startLine: int64(spec.startLine),
    });
  }
}

function headerOf(input: CSide | Profile): ProfileHeader {
  if (input instanceof CSide) return input.header;
  const text = (index: number | bigint) => input.stringTable.strings[Number(index)] ?? '';
  return {
    timeNanos: int64(input.timeNanos),
    durationNanos: int64(input.durationNanos),
    period: int64(input.period),
    comments: input.comment.map(text),
    dropFrames: text(input.dropFrames),
    keepFrames: text(input.keepFrames),
    docUrl: text(input.docUrl),
  };
}

/** A comment for sides that were sampled at different rates; none otherwise. */
function rateComments(go: readonly ProfileHeader[], c: readonly ProfileHeader[]): string[] {
  const rates = (headers: readonly ProfileHeader[]) => [...new Set(headers.map(({ period }) => period))];
  const goRates = rates(go);
  const cRates = rates(c);
  if (goRates.length === 0 || cRates.length === 0 || new Set([...goRates, ...cRates]).size === 1) return [];
  return [`cgoprof: mean bytes between samples differ: Go ${goRates.join(', ')}, C ${cRates.join(', ')}`];
}

/** As combineHeaders of merge.go, but that an unknown time stays out of it wherever it stands. */
function mergeHeaders(headers: readonly ProfileHeader[], comments: readonly string[]): ProfileHeader {
  const [first] = headers;
  const times = headers.map(({ timeNanos }) => timeNanos).filter((time) => time !== 0);
  const periods = headers.map(({ period }) => period).sort(compareInt64);
  return {
    timeNanos: times.sort(compareInt64)[0] ?? 0,
    durationNanos: headers.map(({ durationNanos }) => durationNanos).reduce(addInt64, 0),
    period: periods.at(-1) ?? 0,
    comments: [...new Set([...headers.flatMap(({ comments }) => comments), ...comments])],
    dropFrames: first?.dropFrames ?? '',
    keepFrames: first?.keepFrames ?? '',
    docUrl: headers.map(({ docUrl }) => docUrl).find((url) => url !== '') ?? '',
  };
}

/**
 * Adds profiles up: samples with the same stack and labels become one, whichever profile they come from. The inputs are
 * left as they are.
 *
 * @throws ProfileError when there is nothing to merge, or a profile is not a heap profile.
 */
export function mergeProfiles({ go, c, comments = [] }: MergeInput): Profile {
  const inputs = [...go, ...c];
  if (inputs.length === 0) throw new ProfileError('merge', 'no profile to merge');
  for (const input of inputs) {
    const mismatch = input instanceof CSide ? '' : heapTypeMismatch(input);
    if (mismatch !== '') throw new ProfileError('merge', mismatch);
  }
  const builder = new ProfileBuilder();
  for (const input of inputs) {
    if (input instanceof CSide) input.addTo(builder);
    else new Source(input, builder).carryOver();
  }
  const rates = rateComments(go.map(headerOf), c.map(headerOf));
  return builder.build(mergeHeaders(inputs.map(headerOf), [...comments, ...rates]));
}
