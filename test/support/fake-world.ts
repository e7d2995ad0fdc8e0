/**
 * A small machine of files: a proc file system, shared memory and an addon that reads segments by their names, behind the
 * Context that commands get.
 */
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Context } from '../../src/context.js';
import type {
  AttachRequest,
  AttachResult,
  ExecutableInfo,
  NativeBinding,
  Segment,
  SegmentHeader,
} from '../../src/native-binding.js';
import { segmentHeader } from './segment-fixture.js';

export const BOOT_ID = '00112233-4455-6677-8899-aabbccddeeff';

export interface FakeProcess {
  /** Field 22 of its stat. */
  readonly start?: number;
  readonly state?: string;
  readonly name?: string;
  readonly parent?: number;
  readonly group?: number;
  readonly foreground?: number;
  /** Pid in its own namespace. */
  readonly innerPid?: number;
  /** Where its code begins, which tells one program from the next in the same process; 0 when it is ending. */
  readonly code?: number;
  /** Field 9 of its stat. */
  readonly flags?: number;
  /** Further lines of its status, and those that replace the usual ones, by name. */
  readonly status?: Readonly<Record<string, string>>;
  /** Files it has mapped, by the path it sees; they are made in its root. */
  readonly maps?: string;
  /** What it was started with, KEY=VALUE. */
  readonly environ?: readonly string[];
}

export class FakeWorld {
  readonly root = mkdtempSync(join(tmpdir(), 'cgoprof-test-'));
  readonly procRoot = join(this.root, 'proc');
  readonly shmRoot = join(this.root, 'shm');
  readonly libraryPath = join(this.root, 'lib/libcgoprof.so');
  /** What the addon finds in a file: a segment, or an error with a code. */
  readonly segments = new Map<string, Segment | Error>();
  /** ... in a file that is not in the map: for segments that a process of the test makes. */
  readUnknown: (path: string) => Segment = (path) => {
    throw codedError('ENOENT', `${path}: no such file or directory`);
  };
  readonly executables = new Map<string, ExecutableInfo | Error>();
  /** What the addon was asked to attach to or to detach from, in order, and what comes of it. */
  readonly attachRequests: AttachRequest[] = [];
  attach: (request: AttachRequest) => AttachResult = () => ({ ...ATTACH_RESULT });
  /** What a process does when its segment has a new wish: nothing, unless a test says so. */
  onWish: (path: string) => void = () => {};
  out = '';
  err = '';

  constructor() {
    this.write('proc/sys/kernel/random/boot_id', `${BOOT_ID}\n`);
    this.write('lib/libcgoprof.so', '');
    mkdirSync(this.shmRoot);
  }

  remove(): void {
    rmSync(this.root, { recursive: true, force: true });
  }

  path(name: string): string {
    return join(this.root, name);
  }

  write(name: string, content: string | Uint8Array): string {
    const path = this.path(name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, content);
    return path;
  }

  process(pid: number | 'self', fake: FakeProcess = {}): void {
    const {
      state = 'S',
      name = 'server',
      parent = 1,
      group = 1,
      foreground = -1,
      start = 1,
      code = 4096,
      flags = 0,
      status = {},
      innerPid,
      maps,
      environ,
    } = fake;
    const fields = [state, parent, group, 1, 0, foreground, flags, ...Array(12).fill(0), start, 0, 0, 0, code, 0, 0];
    this.write(`proc/${pid}/stat`, `${pid} (${name}) ${fields.join(' ')}\n`);
    const nspid = innerPid === undefined ? `${pid}` : `${pid}\t${innerPid}`;
    const lines = Object.entries({ Name: name, NSpid: nspid, VmRSS: ' 1 kB', ...status });
    this.write(`proc/${pid}/status`, lines.map(([key, value]) => `${key}:\t${value}\n`).join(''));
    if (maps !== undefined) this.write(`proc/${pid}/maps`, maps);
    if (environ !== undefined) this.write(`proc/${pid}/environ`, environ.map((entry) => `${entry}\0`).join(''));
    rmSync(this.path(`proc/${pid}/root`), { force: true });
    symlinkSync('/', this.path(`proc/${pid}/root`));
  }

  /** A segment file in the default directory of a user, with what the addon is to read from it. */
  segment(name: string, header: Partial<SegmentHeader> = {}, directory = `shm/cgoprof-${process.getuid?.()}`): string {
    const [, pid = '0', start = '0'] = /^(\d+)-(\d+)\.seg$/.exec(name) ?? [];
    const path = this.write(`${directory}/${name}`, 'CGOPROF\0');
    this.segments.set(path, {
      header: segmentHeader({ pid: Number(pid), startTimeTicks: BigInt(start), ...header }),
      modules: [],
      buckets: [],
    });
    return path;
  }

  context(overrides: Partial<Context> = {}): Context {
    return {
      env: { HOME: this.root, XDG_CACHE_HOME: this.path('cache') },
      uid: process.getuid?.() ?? 0,
      gid: process.getgid?.() ?? 0,
      machine: 'amd64',
      procRoot: this.procRoot,
      shmRoot: this.shmRoot,
      libraryPath: this.libraryPath,
      stdoutIsTerminal: false,
      stderrIsTerminal: false,
      loadNative: async () => this.native,
      writeOut: (data) => {
        this.out += typeof data === 'string' ? data : Buffer.from(data).toString('latin1');
      },
      writeErr: (text) => {
        this.err += text;
      },
      ...overrides,
    };
  }

  /** Changes the header that the addon finds in a file. */
  setHeader(path: string, header: Partial<SegmentHeader>): void {
    const segment = this.#read(path);
    this.segments.set(path, { ...segment, header: { ...segment.header, ...header } });
  }

  readonly native: NativeBinding = {
    attach: async (request) => {
      this.attachRequests.push(request);
      return this.attach(request);
    },
    setSegmentWish: (path, wish) => {
      this.setHeader(path, { wish });
      this.onWish(path);
    },
    readSegment: (path) => this.#read(path),
    readSegmentHeader: (path) => this.#read(path).header,
    symbolizeModule: async ({ addresses, files }) => ({
      lines: Array.from(addresses, () => []),
      isGo: new Uint8Array(addresses.length),
      file: files[0] ?? '',
      warning: '',
    }),
    keepAllocatorSmall: () => {},
    inspectExecutable: (path) => {
      const info = this.executables.get(path) ?? codedError('ENOENT', `${path}: no such file or directory`);
      if (info instanceof Error) throw info;
      return info;
    },
  };

  #read(path: string): Segment {
    const found = this.segments.get(path) ?? this.readUnknown(path);
    if (found instanceof Error) throw found;
    return found;
  }
}

/** An error as the addon throws them. */
export function codedError(code: string, message: string, detail?: string): Error {
  return Object.assign(new Error(message), { code, detail });
}

export const ATTACH_RESULT: AttachResult = {
  segment: '/dev/shm/cgoprof-0/10-1.seg',
  stoppedNs: 1_234_567,
  threadId: 11,
  attempts: 0,
  patched: 97,
  accountNs: 850_000,
};

export const GO_PROGRAM: ExecutableInfo = {
  format: 'elf',
  machine: 'amd64',
  dynamic: true,
  interpreter: '/lib64/ld-linux-x86-64.so.2',
  isGo: true,
  hasOwnMalloc: false,
  hasCapabilities: false,
};

/** One line of /proc/PID/maps for a file that exists. */
export function mapsLine(path: string, inode: number, range = '7f0000000000-7f0000001000'): string {
  return `${range} rw-s 00000000 00:1a ${inode}                     ${path}\n`;
}
