/**
 * A strict look at the bytes of a profile before pprof-format decodes them.
 *
 * pprof-format is made for bytes it can trust: it takes a message that ends early for a shorter one, reads a varint of
 * any length, and mistakes a field number above 15 for a field and a value. So what comes from outside passes through
 * here first: afterwards every length fits, every varint ends, and the number of objects to be made is bounded.
 */

/** What a field holds; a nested schema is a message. */
type Field = 'varint' | 'varints' | 'bytes' | Schema;
interface Schema {
  readonly [field: number]: Field;
}

function varints(...fields: number[]): Schema {
  return Object.fromEntries(fields.map((field) => [field, 'varint']));
}

// profile.proto of google/pprof.
const VALUE_TYPE = varints(1, 2);
const LABEL = varints(1, 2, 3, 4);
const SAMPLE: Schema = { 1: 'varints', 2: 'varints', 3: LABEL };
const MAPPING = varints(1, 2, 3, 4, 5, 6, 7, 8, 9, 10);
const LINE = varints(1, 2, 3);
const LOCATION: Schema = { ...varints(1, 2, 3, 5), 4: LINE };
const FUNCTION = varints(1, 2, 3, 4, 5);
const PROFILE: Schema = {
  ...varints(7, 8, 9, 10, 12, 14, 15),
  1: VALUE_TYPE,
  2: SAMPLE,
  3: MAPPING,
  4: LOCATION,
  5: FUNCTION,
  6: 'bytes',
  11: VALUE_TYPE,
  13: 'varints',
};

const WIRE_VARINT = 0;
const WIRE_BYTES = 2;

/** 64 bits, 7 in each byte. */
const MAX_VARINT_BYTES = 10;

class WireChecker {
  #position = 0;
  #messages = 0;

  constructor(
    private readonly bytes: Uint8Array,
    private readonly maxMessages: number,
  ) {}

  message(schema: Schema, end: number): void {
    this.#count();
    while (this.#position < end) this.#field(schema, end);
  }

  #count(): void {
    this.#messages += 1;
    if (this.#messages > this.maxMessages) throw new RangeError(`it has more than ${this.maxMessages} records`);
  }

  #field(schema: Schema, end: number): void {
    const tag = this.#varint(end);
    const field = schema[Math.floor(tag / 8)];
    const wireType = tag % 8;
    if (field === undefined) throw new RangeError('it has a field that profiles do not');
    if (wireType === WIRE_VARINT && (field === 'varint' || field === 'varints')) {
      this.#varint(end);
      return;
    }
    if (wireType !== WIRE_BYTES || field === 'varint') throw new RangeError('it has a field of the wrong type');
    const length = this.#varint(end);
    if (length > end - this.#position) throw new RangeError('it ends in mid-record');
    this.#contents(field, this.#position + length);
  }

  #contents(field: Exclude<Field, 'varint'>, end: number): void {
    if (field === 'bytes') {
      this.#count();
      this.#position = end;
    } else if (field === 'varints') {
      while (this.#position < end) this.#varint(end);
    } else {
      this.message(field, end);
    }
  }

  /** The value is exact below 2^53 and large beyond: enough for tags and lengths. */
  #varint(end: number): number {
    let value = 0;
    for (let i = 0; i < MAX_VARINT_BYTES; i++) {
      if (this.#position >= end) throw new RangeError('it ends in mid-record');
      const byte = this.bytes[this.#position++] ?? 0;
      value += (byte & 0x7f) * 2 ** (7 * i);
      if (byte < 0x80) return value;
    }
    throw new RangeError('it has a number of more than 64 bits');
  }
}

/**
 * @param maxMessages How many messages and strings a decoder may be asked to make objects of.
 * @throws RangeError with one clause, when the bytes are not a pprof profile.
 */
export function checkWireFormat(bytes: Uint8Array, maxMessages: number): void {
  new WireChecker(bytes, maxMessages).message(PROFILE, bytes.length);
}
