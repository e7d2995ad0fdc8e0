/**
 * Segment files made byte by byte, after native/shared/segment_layout.h. The layout is written out a second time here on
 * purpose: a change of the header that would break older tools fails the tests that use this file.
 */

const PAGE = 4096;

/** Bytes per record, in the order of RegionId. */
const STRIDES = [72, 1, 4, 64, 8, 4, 32] as const;

export const REGION = { modules: 0, strings: 1, buckets: 3, stacks: 4, liveEntries: 6 } as const;

/** Byte offsets in the header. */
export const HEADER = {
  abiMajor: 8,
  abiMinor: 10,
  headerBytes: 12,
  fileBytes: 16,
  pid: 24,
  uid: 28,
  startTimeTicks: 32,
  createdUnixNs: 40,
  runId: 48,
  sampleRate: 56,
  bootId: 64,
  exePath: 80,
  exePathBytes: 84,
  regionCount: 88,
  counterCount: 92,
  state: 96,
  regions: 104,
  counters: 744,
  wish: 1008,
  attachments: 1012,
  attachedUnixNs: 1016,
  beforeAttachBytes: 1024,
} as const;

/** A running segment of one page per region. Multi-byte setters take the width in their name and an absolute offset. */
export class SegmentBytes {
  readonly bytes = new Uint8Array(PAGE * (1 + STRIDES.length));
  readonly #view = new DataView(this.bytes.buffer);

  constructor() {
    this.text(0, 'CGOPROF\0').u16(HEADER.abiMajor, 2).u16(HEADER.abiMinor, 1).u32(HEADER.headerBytes, PAGE);
    this.u64(HEADER.fileBytes, this.bytes.length).u64(HEADER.sampleRate, 524288);
    this.u32(HEADER.regionCount, STRIDES.length).u32(HEADER.counterCount, 8).u32(HEADER.state, 1);
    for (const [region, stride] of STRIDES.entries()) {
      const entry = HEADER.regions + 40 * region;
      const capacity = Math.floor(PAGE / stride);
      this.u64(entry, PAGE * (region + 1))
        .u64(entry + 8, capacity)
        .u32(entry + 16, stride)
        .u64(entry + 24, capacity);
    }
  }

  /** Offset of a record, which counts as used from now on. */
  record(region: number, index: number): number {
    const stride = STRIDES[region] as number;
    this.used(region, index + 1);
    return PAGE * (region + 1) + stride * index;
  }

  used(region: number, count: number): this {
    return this.u64(HEADER.regions + 40 * region + 32, count);
  }

  text(at: number, text: string): this {
    this.bytes.set(new TextEncoder().encode(text), at);
    return this;
  }

  u8(at: number, value: number): this {
    this.#view.setUint8(at, value);
    return this;
  }

  u16(at: number, value: number): this {
    this.#view.setUint16(at, value, true);
    return this;
  }

  u32(at: number, value: number): this {
    this.#view.setUint32(at, value, true);
    return this;
  }

  u64(at: number, value: number | bigint): this {
    this.#view.setBigUint64(at, BigInt(value), true);
    return this;
  }
}
