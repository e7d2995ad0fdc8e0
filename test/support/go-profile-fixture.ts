/** Heap profiles as runtime/pprof writes them, built by hand from tables. */
import { Function as GoFunction, Label, Line, Location, Mapping, Profile, Sample, ValueType } from 'pprof-format';
import { sourceLine } from './segment-fixture.js';

export interface GoMapping {
  readonly start: bigint;
  readonly limit: bigint;
  readonly offset: bigint;
  readonly file: string;
  readonly buildId?: string;
}

export interface GoSample {
  /** Leaf first; `name@file:line`, inlined lines joined by ` < `, then ` +address` where it matters. */
  readonly stack: readonly string[];
  readonly values: readonly (number | bigint)[];
  readonly labels?: Readonly<Record<string, string | number>>;
}

export interface GoProfileTable {
  readonly samples: readonly GoSample[];
  readonly mappings?: readonly GoMapping[];
  readonly period?: number;
  readonly timeNanos?: bigint;
  readonly durationNanos?: number;
  readonly comments?: readonly string[];
  readonly defaultSampleType?: string;
  readonly docUrl?: string;
  readonly sampleTypes?: readonly string[];
  readonly periodType?: string;
}

/** The program of segment-fixture.ts as /proc/self/maps has it. */
export const GO_MAPPINGS: readonly GoMapping[] = [
  { start: 0x401000n, limit: 0x480000n, offset: 0x1000n, file: '/srv/app', buildId: 'aa01' },
  { start: 0x7f11_0000_0000n, limit: 0x7f11_0010_0000n, offset: 0x26000n, file: '/usr/lib/libc.so.6' },
];

const HEAP_TYPES = ['alloc_objects/count', 'alloc_space/bytes', 'inuse_objects/count', 'inuse_space/bytes'];

class GoProfile {
  readonly profile = new Profile();
  readonly #functions = new Map<string, number>();
  readonly #locations = new Map<string, number>();

  text(value: string): number {
    return this.profile.stringTable.dedup(value);
  }

  valueType(pair: string): ValueType {
    const [type = '', unit = ''] = pair.split('/');
    return new ValueType({ type: this.text(type), unit: this.text(unit) });
  }

  function(name: string, file: string): number {
    const id = this.#functions.get(name) ?? this.#functions.size + 1;
    if (!this.#functions.has(name)) {
      const index = this.text(name);
      this.#functions.set(name, id);
      this.profile.function.push(
        new GoFunction({ id, name: index, systemName: index, filename: this.text(file), startLine: 0 }),
      );
    }
    return id;
  }

  location(frame: string, mappings: readonly GoMapping[]): number {
    const known = this.#locations.get(frame);
    if (known !== undefined) return known;
    const id = this.#locations.size + 1;
    this.#locations.set(frame, id);
    const [lines = '', at] = frame.split(' +');
    const address = at === undefined ? 0x402000n + BigInt(id) : BigInt(at);
    const mappingId = mappings.findIndex(({ start, limit }) => start <= address && address < limit) + 1;
    const line =
      lines === ''
        ? []
        : lines.split(' < ').map((text) => {
            const { name, file, line } = sourceLine(text);
            return new Line({ functionId: this.function(name, file), line });
          });
    this.profile.location.push(new Location({ id, mappingId, address, line }));
    return id;
  }
}

export function goProfile(table: GoProfileTable): Profile {
  const go = new GoProfile();
  const { profile } = go;
  const mappings = table.mappings ?? GO_MAPPINGS;
  profile.sampleType = (table.sampleTypes ?? HEAP_TYPES).map((pair) => go.valueType(pair));
  profile.periodType = go.valueType(table.periodType ?? 'space/bytes');
  profile.period = table.period ?? 524288;
  profile.timeNanos = table.timeNanos ?? 0;
  profile.durationNanos = table.durationNanos ?? 0;
  profile.comment = (table.comments ?? []).map((comment) => go.text(comment));
  profile.defaultSampleType = go.text(table.defaultSampleType ?? '');
  profile.docUrl = go.text(table.docUrl ?? '');
  profile.mapping = mappings.map(
    ({ start, limit, offset, file, buildId }, i) =>
      new Mapping({
        id: i + 1,
        memoryStart: start,
        memoryLimit: limit,
        fileOffset: offset,
        filename: go.text(file),
        buildId: go.text(buildId ?? ''),
      }),
  );
  profile.sample = table.samples.map(({ stack, values, labels }) => {
    const label = Object.entries(labels ?? {}).map(([key, value]) =>
      typeof value === 'number'
        ? new Label({ key: go.text(key), num: value })
        : new Label({ key: go.text(key), str: go.text(value) }),
    );
    return new Sample({ locationId: stack.map((frame) => go.location(frame, mappings)), value: [...values], label });
  });
  return profile;
}
