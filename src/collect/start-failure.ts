/**
 * Why a process that was to be profiled is not: the library leaves a word in the name of a mapping
 * (native/preload/start_failure.h), which becomes a sentence here.
 */
import { CgoprofError } from '../errors.js';

interface Reason {
  /** Why there is no segment; or, instead, why there is nothing to put into one. */
  readonly why?: string;
  readonly unseen?: string;
  readonly hint: string;
}

/** Of an executable that brings its own malloc, and what to do about it. */
export const OWN_MALLOC = 'defines malloc itself, so no library can see what it allocates';
export const OWN_MALLOC_HINT =
  'Link the allocator as a shared library (-ltcmalloc) instead of a static one (libtcmalloc.a).';

const PLACE = 'Choose another directory: CGOPROF_DIR=/PATH.';

const REASONS: Readonly<Record<string, Reason>> = {
  directory: {
    why: 'its directory could not be made, or is not its user’s alone',
    hint: 'CGOPROF_DIR or /dev/shm/cgoprof-UID must be a directory of mode 700 that belongs to the user of the process.',
  },
  'file-system': {
    why: 'its directory lies on a file system that may run out of room for pages that were taken',
    hint: 'Only tmpfs, ramfs, ext4 and xfs will do. Choose another directory: CGOPROF_DIR=/dev/shm/NAME.',
  },
  'file-size-limit': {
    why: 'the process may not write files that long',
    hint: 'Raise its limit: ulimit -f unlimited.',
  },
  file: { why: 'its file could not be made', hint: `Is the directory writable to the process? ${PLACE}` },
  'address-space': { why: 'the process has no address space for it', hint: 'Raise its limit: ulimit -v unlimited.' },
  'no-room': { why: 'there was no room for it', hint: `df -h /dev/shm shows the room there is. ${PLACE}` },
  'own-malloc': {
    unseen: `its executable ${OWN_MALLOC}`,
    hint: OWN_MALLOC_HINT,
  },
  'earlier-malloc': {
    unseen: 'another preloaded library defines malloc in front of libcgoprof.so',
    hint: 'Name libcgoprof.so first in LD_PRELOAD; it calls the other.',
  },
  'dormant-allocator': {
    unseen: 'its allocator has functions of its own, which are hooked at the start of a process or not at all',
    hint: 'Start it with CGOPROF_PROFILE=NAME, the base name of its executable.',
  },
  processor: { why: 'the processor has no cmpxchg16b instruction', hint: 'Every amd64 processor since 2006 has it.' },
  kernel: { why: 'the kernel cannot keep it from forked children', hint: 'Linux 4.14 can.' },
};

const MAPPING_NAME = /^\/memfd:cgoprof-failed-([a-z-]+)$/;

/** The word in a mapping's name, if that is one the library leaves. */
export function startFailureOf(mappingName: string): string | undefined {
  return MAPPING_NAME.exec(mappingName)?.[1];
}

/** @param pid Or several, as a list for people. */
export function startFailure(pid: number | string, word: string): CgoprofError {
  const { why, unseen, hint } = REASONS[word] ?? {
    why: `its library says '${word}'`,
    hint: 'Is the tool older than the library?',
  };
  const reason = unseen ?? `it could not make a segment: ${why}`;
  return new CgoprofError({ what: `pid ${pid}`, why: `not profiled: ${reason}`, hint });
}
