/** Where the file that a module was loaded from may be found now. */
import { stat } from 'node:fs/promises';
import { systemReason } from '../errors.js';
import type { SegmentModule } from '../native-binding.js';

/** Where to look; see SymbolizeOptions. */
export interface ModuleFileOptions {
  readonly root: string;
  readonly pid?: number | undefined;
  /**
   * The target's root is, or was, not ours: what is called the same here is another file, unless a build id says that it
   * is not.
   */
  readonly elsewhere?: boolean | undefined;
}

export interface ModuleFiles {
  /** Regular files that exist, best first. */
  readonly paths: readonly string[];
  /** Tells the first file's contents from any other's without reading them: path, size, time of change. '' none. */
  readonly identity: string;
  /** When that file was last written, ms since 1970; 0 none. */
  readonly writtenMs: number;
  /** Why there are none, one clause. */
  readonly problem: string;
}

const PAGE = 4096n;

/** The kernel's links to what is mapped right now: they lead to the file even after it was deleted or replaced. */
function mappedFiles(module: SegmentModule, pid: number): string[] {
  const start = module.textStart - (module.textStart % PAGE);
  const end = module.textEnd + ((PAGE - (module.textEnd % PAGE)) % PAGE);
  const links = [`/proc/${pid}/map_files/${start.toString(16)}-${end.toString(16)}`];
  return module.isExecutable ? [`/proc/${pid}/exe`, ...links] : links;
}

/**
 * Paths to try, best first. By its path a file has its separate debug file beside it, and the build id tells whether it
 * is still the right one; without a build id only the kernel's links are certain.
 */
export function candidateFiles(module: SegmentModule, { root, pid, elsewhere }: ModuleFileOptions): string[] {
  // Neither empty nor relative names mean the same to us as to the target.
  const isName = module.path.startsWith('/') && !module.path.includes('\0');
  const isOurs = isName && (elsewhere !== true || module.buildId !== '');
  const named = isName && (root !== '' || isOurs) ? [root + module.path] : [];
  const mapped = pid === undefined ? [] : mappedFiles(module, pid);
  const ordered = module.buildId === '' ? [...mapped, ...named] : [...named, ...mapped];
  // Last, our own file of that name: a container's image may share it with us, and its root may be gone.
  if (isOurs) ordered.push(module.path);
  return [...new Set(ordered)];
}

/** Keeps the candidates that are regular files: opening anything else, such as a FIFO, could block for ever. */
export async function findModuleFiles(module: SegmentModule, options: ModuleFileOptions): Promise<ModuleFiles> {
  const paths: string[] = [];
  const problems: string[] = [];
  let identity = '';
  let writtenMs = 0;
  for (const path of candidateFiles(module, options)) {
    try {
      const found = await stat(path);
      if (!found.isFile()) throw new Error('not a regular file');
      paths.push(path);
      writtenMs ||= found.mtimeMs;
      identity ||= `file ${module.path} ${found.size} ${found.mtimeMs} ${found.ino}`;
    } catch (error) {
      problems.push(systemReason(error));
    }
  }
  // The kernel's links are a matter of privilege; what a person can put right is the file's own path.
  return { paths, identity, writtenMs, problem: problems.at(-1) ?? 'no absolute path is known' };
}
