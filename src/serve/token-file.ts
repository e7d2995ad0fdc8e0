/**
 * The token that clients must show: kept in a file, so that it is in no command line, and read again when that changes.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import { closeSync, constants, fstatSync, openSync, readSync, type Stats, statSync } from 'node:fs';
import { type Context, say } from '../context.js';
import { CgoprofError, systemReason } from '../errors.js';

/** Characters: fewer can be tried out. */
const MIN_LENGTH = 16;
const MAX_BYTES = 4096;

/** Group: may read. Others: nothing. */
const FORBIDDEN_MODE = 0o027;

const HINT = 'Make one: (umask 077; openssl rand -hex 32 >FILE)';

/** @throws CgoprofError */
function readToken(path: string, uid: number): string {
  const refuse = (why: string, cause?: unknown) =>
    new CgoprofError({ what: `--token-file ${path}`, why, hint: HINT, cause });
  let fd: number | undefined;
  try {
    // A FIFO must not hold us up.
    fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const why = whyUnfit(fstatSync(fd), uid);
    if (why !== undefined) throw refuse(why);
    const bytes = Buffer.alloc(MAX_BYTES + 1);
    const length = readSync(fd, bytes);
    const token = bytes.toString('latin1', 0, length).trim();
    if (length > MAX_BYTES) throw refuse(`longer than ${MAX_BYTES} bytes`);
    if (token.length < MIN_LENGTH) throw refuse(`shorter than ${MIN_LENGTH} characters`);
    if (!/^[!-~]+$/.test(token)) throw refuse('not one word of ASCII characters');
    return token;
  } catch (error) {
    throw error instanceof CgoprofError ? error : refuse(systemReason(error), error);
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

function whyUnfit(stat: Stats, uid: number): string | undefined {
  if (!stat.isFile()) return 'not a regular file';
  if (stat.uid !== uid && stat.uid !== 0) return 'the file of another user';
  if ((stat.mode & FORBIDDEN_MODE) === 0) return undefined;
  return `others have access to it (mode ${(stat.mode & 0o777).toString(8).padStart(3, '0')}); chmod 600 takes it away`;
}

/** Tells one state of a file from the next without reading it. '' none. */
function versionOf(path: string): string {
  try {
    const { dev, ino, size, mtimeNs, ctimeNs } = statSync(path, { bigint: true });
    return `${dev} ${ino} ${size} ${mtimeNs} ${ctimeNs}`;
  } catch {
    return '';
  }
}

const digest = (text: string): Buffer => createHash('sha256').update(text, 'latin1').digest();

export class TokenFile {
  #version: string;
  #digest: Buffer;

  /** @throws CgoprofError unless there is a token in it, and nobody else's to read */
  constructor(
    private readonly context: Pick<Context, 'uid' | 'writeErr'>,
    readonly path: string,
  ) {
    this.#version = versionOf(path);
    this.#digest = digest(readToken(path, context.uid));
  }

  /** Whether that is the token, in a time that does not tell how much of it is. */
  accepts(shown: string): boolean {
    this.#readAgain();
    return timingSafeEqual(digest(shown), this.#digest);
  }

  /** A change to something unfit, such as a file that is half written, leaves the token as it was. */
  #readAgain(): void {
    const version = versionOf(this.path);
    if (version === this.#version) return;
    this.#version = version;
    try {
      this.#digest = digest(readToken(this.path, this.context.uid));
    } catch (error) {
      say(this.context, `warning: ${(error as Error).message}; the token that was read before still counts`);
    }
  }
}
