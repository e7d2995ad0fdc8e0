/**
 * Reads a file that a person named as a profile: pprof bytes, or a segment, told apart by how it begins. A pipe
 * (`<(curl ...)`) does as well.
 */
import { closeSync, openSync, readSync } from 'node:fs';

const SEGMENT_MAGIC = Buffer.from('CGOPROF\0', 'latin1');
const CHUNK_BYTES = 1 << 20;

/**
 * The whole file; or 'segment', which must not be read whole: it is sparse and far longer than what is in it.
 *
 * @throws the system's error, or an Error that says how long the file may be
 */
export function readProfileInput(path: string, maxBytes: number): Uint8Array | 'segment' {
  const fd = openSync(path, 'r');
  try {
    const start = readChunk(fd, SEGMENT_MAGIC.length);
    return start.equals(SEGMENT_MAGIC) ? 'segment' : readRest(fd, start, maxBytes);
  } finally {
    closeSync(fd);
  }
}

function readRest(fd: number, start: Buffer, maxBytes: number): Uint8Array {
  const chunks = [start];
  let size = start.length;
  for (;;) {
    const chunk = readChunk(fd, CHUNK_BYTES);
    if (chunk.length === 0) return Buffer.concat(chunks);
    size += chunk.length;
    if (size > maxBytes) throw new Error(`longer than ${maxBytes / 2 ** 20} MiB`);
    chunks.push(chunk);
  }
}

/** Shorter than asked for only at the end of the file. */
function readChunk(fd: number, length: number): Buffer {
  const buffer = Buffer.alloc(length);
  let filled = 0;
  while (filled < length) {
    const count = readSync(fd, buffer, filled, length - filled, null);
    if (count === 0) break;
    filled += count;
  }
  return buffer.subarray(0, filled);
}
