/**
 * What a command may use of the outside world, in one value: cli.ts makes the real one, tests hand in another.
 */
import type { NativeBinding } from './native-binding.js';

/** Words with which ELF machines are named here, in the addon and in Go. */
export type Machine = 'amd64' | 'arm64';

export interface Context {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Real user and group of this process. */
  readonly uid: number;
  readonly gid: number;
  readonly machine: Machine;
  /** Where the proc file system and shared memory are mounted. */
  readonly procRoot: string;
  readonly shmRoot: string;
  /** Absolute path of libcgoprof.so; it need not exist. */
  readonly libraryPath: string;
  readonly stdoutIsTerminal: boolean;
  readonly stderrIsTerminal: boolean;
  /** Loads the addon. @throws CgoprofError when it is not built or does not load. */
  readonly loadNative: () => Promise<NativeBinding>;
  /** Data: to standard output as it is. */
  readonly writeOut: (data: string | Uint8Array) => void;
  /** Talk: to standard error as it is. */
  readonly writeErr: (text: string) => void;
}

/** Tells the person one line. */
export function say(context: Pick<Context, 'writeErr'>, line: string): void {
  context.writeErr(`cgoprof: ${line}\n`);
}

/** How a command ended: most return an exit code; `run` may have to die by its child's signal. */
export type Ending = { readonly code: number } | { readonly signal: NodeJS.Signals };

export const DONE: Ending = { code: 0 };
