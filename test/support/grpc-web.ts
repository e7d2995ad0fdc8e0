/**
 * Calls to a gRPC server over HTTP/1.1 (gRPC-Web): messages as their fields, without the schema.
 *
 * Sources: grpc/doc/PROTOCOL-WEB.md; protobuf.dev, Encoding.
 */

/** Field number and value of one field: a varint, text, bytes, or a message. */
export type Field = readonly [number, bigint | string | Uint8Array | readonly Field[]];

const VARINT = 0;
const FIXED64 = 1;
const BYTES = 2;

export function encode(fields: readonly Field[]): Buffer {
  return Buffer.concat(
    fields.map(([number, value]) => {
      if (typeof value === 'bigint') return Buffer.concat([tag(number, VARINT), varint(value)]);
      const bytes =
        value instanceof Uint8Array ? value : typeof value === 'string' ? Buffer.from(value) : encode(value);
      return Buffer.concat([tag(number, BYTES), varint(BigInt(bytes.length)), bytes]);
    }),
  );
}

function tag(number: number, wireType: number): Buffer {
  return varint(BigInt((number << 3) | wireType));
}

function varint(value: bigint): Buffer {
  const bytes: number[] = [];
  for (; value > 0x7fn; value >>= 7n) bytes.push(Number(value & 0x7fn) | 0x80);
  return Buffer.from([...bytes, Number(value)]);
}

/** Reads a message field by field. */
class Reader {
  #at = 0;

  constructor(private readonly bytes: Buffer) {}

  get atEnd(): boolean {
    return this.#at >= this.bytes.length;
  }

  varint(): bigint {
    let result = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = this.bytes.readUInt8(this.#at++);
      result |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return result;
    }
  }

  field(): readonly [number, bigint | Buffer] {
    const key = Number(this.varint());
    const wireType = key & 7;
    return [key >> 3, wireType === VARINT ? this.varint() : this.#take(this.#length(wireType))];
  }

  #length(wireType: number): number {
    if (wireType === BYTES) return Number(this.varint());
    return wireType === FIXED64 ? 8 : 4;
  }

  #take(length: number): Buffer {
    this.#at += length;
    return this.bytes.subarray(this.#at - length, this.#at);
  }
}

/** A message that came. */
export class Message {
  readonly #fields: (readonly [number, bigint | Buffer])[] = [];

  constructor(bytes: Buffer) {
    for (const reader = new Reader(bytes); !reader.atEnd; ) this.#fields.push(reader.field());
  }

  #all(number: number): (bigint | Buffer)[] {
    return this.#fields.filter(([found]) => found === number).map(([, value]) => value);
  }

  /** 0 where it is left out, as in protobuf. */
  integer(number: number): bigint {
    const value = this.#all(number).at(-1) ?? 0n;
    if (typeof value !== 'bigint') throw new Error(`field ${number} is no integer`);
    return value;
  }

  bytes(number: number): Buffer {
    const value = this.#all(number).at(-1) ?? Buffer.alloc(0);
    if (typeof value === 'bigint') throw new Error(`field ${number} has no bytes`);
    return value;
  }

  messages(number: number): Message[] {
    return this.#all(number).map((value) => {
      if (typeof value === 'bigint') throw new Error(`field ${number} is no message`);
      return new Message(value);
    });
  }

  message(number: number): Message {
    return new Message(this.bytes(number));
  }
}

const TRAILERS = 0x80;
const FRAME_HEAD = 5;

/** @param path /package.Service/Method. @throws unless the server answers with a message and status 0 */
export async function call(origin: string, path: string, fields: readonly Field[]): Promise<Message> {
  const body = encode(fields);
  const head = Buffer.alloc(FRAME_HEAD);
  head.writeUInt32BE(body.length, 1);
  // A connection that is kept may be closed by the server while a test is busy with something else.
  const headers = { 'Content-Type': 'application/grpc-web+proto', Connection: 'close' };
  const response = await fetch(`${origin}${path}`, { method: 'POST', headers, body: Buffer.concat([head, body]) });
  const answer = Buffer.from(await response.arrayBuffer());
  let message: Buffer | undefined;
  let trailers = '';
  for (let at = 0; at < answer.length; ) {
    const end = at + FRAME_HEAD + answer.readUInt32BE(at + 1);
    const frame = answer.subarray(at + FRAME_HEAD, end);
    if ((answer.readUInt8(at) & TRAILERS) !== 0) trailers = frame.toString();
    else message = frame;
    at = end;
  }
  const status = /^grpc-status: *(\d+)/im.exec(trailers)?.[1] ?? response.headers.get('grpc-status');
  if (status === '0' && message !== undefined) return new Message(message);
  const why = response.headers.get('grpc-message') ?? trailers;
  throw new Error(`${path}: HTTP status ${response.status}, gRPC status ${status}: ${why}`);
}
