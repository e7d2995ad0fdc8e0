/** Takes in the bytes of a heap profile, Go's own or one that this tool wrote, and trusts none of them. */
import { gunzipSync } from 'node:zlib';
import { Label, Profile } from 'pprof-format';
import { checkReferences } from './check-references.js';
import { ALLOCATOR_LABEL, heapTypeMismatch } from './heap-profile.js';
import { ProfileError } from './profile-error.js';
import { checkWireFormat } from './wire-check.js';

export interface ProfileLimits {
  /** After gunzip. */
  readonly maxBytes: number;
  /** Samples, labels, locations, lines, functions, mappings and strings together. */
  readonly maxRecords: number;
}

/** Far above what Go writes (half a million stacks of 60 frames are 100 MB), far below what would exhaust memory. */
const LIMITS: ProfileLimits = { maxBytes: 256 * 2 ** 20, maxRecords: 2 ** 22 };

const GZIP_MAGIC = [0x1f, 0x8b];

function gunzip(bytes: Uint8Array, name: string, maxBytes: number): Uint8Array {
  try {
    return gunzipSync(bytes, { maxOutputLength: maxBytes });
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'ERR_BUFFER_TOO_LARGE') throw new ProfileError(name, `larger than ${maxBytes} bytes when unpacked`);
    if (code === 'Z_BUF_ERROR') throw new ProfileError(name, 'truncated: the gzip data ends early');
    throw new ProfileError(name, 'damaged: the gzip data cannot be unpacked');
  }
}

/** Text where a profile was expected, told by how it begins. @throws ProfileError */
function refuseText(bytes: Uint8Array, name: string): void {
  const start = Buffer.from(bytes.subarray(0, 256)).toString('latin1').trimStart();
  if (start.startsWith('<')) throw new ProfileError(name, 'an HTML page, not a profile');
  // runtime/pprof begins each of its text profiles like this: "heap profile: 1: 8 [...", "goroutine profile: total 7".
  if (/^\w+ profile: /.test(start)) {
    throw new ProfileError(name, 'a profile in text form', 'Leave debug=1 out of the URL.');
  }
}

function decode(bytes: Uint8Array, name: string, { maxRecords }: ProfileLimits): Profile {
  try {
    checkWireFormat(bytes, maxRecords);
  } catch (error) {
    throw new ProfileError(name, `not a pprof profile, or a damaged one: ${(error as RangeError).message}`);
  }
  const profile = Profile.decode(bytes);
  try {
    checkReferences(profile);
  } catch (error) {
    throw new ProfileError(name, `a damaged profile: ${(error as RangeError).message}`);
  }
  return profile;
}

/** Samples that don't tell who allocated them are Go's: only this tool's files have others, and they tell. */
function labelAllocator(profile: Profile): void {
  const key = profile.stringTable.dedup(ALLOCATOR_LABEL);
  const str = profile.stringTable.dedup('go');
  const isAllocator = (label: Label) => profile.stringTable.strings[Number(label.key)] === ALLOCATOR_LABEL;
  for (const sample of profile.sample) {
    if (!sample.label.some(isAllocator)) sample.label.push(new Label({ key, str }));
  }
}

/**
 * Parses a heap profile, gzipped or plain, and makes it fit to be merged with C profiles.
 *
 * @param name What to call it in errors.
 * @throws ProfileError whatever is wrong with it
 */
export function parseHeapProfile(bytes: Uint8Array, name: string, limits: ProfileLimits = LIMITS): Profile {
  if (bytes.length === 0) throw new ProfileError(name, 'empty');
  const isGzip = GZIP_MAGIC.every((byte, i) => bytes[i] === byte);
  const plain = isGzip ? gunzip(bytes, name, limits.maxBytes) : bytes;
  if (plain.length > limits.maxBytes) throw new ProfileError(name, `larger than ${limits.maxBytes} bytes`);
  refuseText(plain, name);
  const profile = decode(plain, name, limits);
  const mismatch = heapTypeMismatch(profile);
  if (mismatch !== '') throw new ProfileError(name, mismatch);
  labelAllocator(profile);
  return profile;
}
