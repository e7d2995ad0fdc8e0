/**
 * TARGET as it is given to `serve`: a pid, a segment file, or the name, path or command line of a process that may come
 * and go; and the name under which it is served, which is a part of URLs.
 */
import { usageError } from '../errors.js';

export type TargetKind = 'pid' | 'file' | 'pattern';

export interface NamedTarget {
  /** From NAME=TARGET; undefined where only TARGET was given. */
  readonly name: string | undefined;
  /** TARGET. */
  readonly text: string;
  readonly kind: TargetKind;
}

/** What a path leads to: a segment, a directory, another file that is no program either, or anything else. */
export type FileKind = 'segment' | 'directory' | 'useless' | undefined;

const WHAT_IT_IS = 'TARGET is a pid, a segment file, or a program by its name, path or command line.';

const NAME = /^[\w.-]+$/;

/** A longer one comes from a hostile program. */
const MAX_NAME = 64;

/** URLs cannot hold these as parts of a path: they mean directories. */
const isDots = (text: string): boolean => /^\.{1,2}$/.test(text);

/**
 * Splits NAME=TARGET and tells what TARGET is.
 *
 * @param fileAt Looks at a path.
 * @throws CgoprofError (usage)
 */
export function parseTarget(argument: string, fileAt: (path: string) => FileKind): NamedTarget {
  if (argument.startsWith('-')) {
    const hint = 'Flags come before --; a program of that name is NAME=TARGET.';
    throw usageError(`serve ${argument}`, 'not a target', hint);
  }
  const [, name, text = argument] = /^([\w.-]+)=(.*)$/s.exec(argument) ?? [];
  if (text === '' || (name !== undefined && isDots(name))) {
    throw usageError(
      `serve ${argument}`,
      text === '' ? 'no target' : `not a name: ${name}`,
      `${WHAT_IT_IS} NAME=TARGET names it.`,
    );
  }
  return { name, text, kind: kindOf(text, fileAt) };
}

function kindOf(text: string, fileAt: (path: string) => FileKind): TargetKind {
  if (/^\d+$/.test(text)) return 'pid';
  if (text.endsWith('.seg')) return 'file';
  const file = fileAt(text);
  if (file === 'directory') throw usageError(`serve ${text}`, 'that is a directory', WHAT_IT_IS);
  if (file === 'useless') {
    const program = `*/${text.slice(text.lastIndexOf('/') + 1)}`;
    const hint = `Profiles are for go tool pprof and cgoprof merge; if a program is called that: '${program}'.`;
    throw usageError(`serve ${text}`, 'that file is neither a segment nor a program', hint);
  }
  return file === 'segment' ? 'file' : 'pattern';
}

/** Splits [NAME=]URL. A name never holds what follows the scheme of a URL. */
export function parseNamedUrl(text: string): { readonly name: string | undefined; readonly url: string } {
  const [, name, url = text] = /^([\w.-]+)=(.*)$/s.exec(text) ?? [];
  return { name, url };
}

/**
 * The base name of an executable, or of the program that a pattern names, as a part of a URL: without wildcards and what
 * they leave behind, as the hyphen of `worker-*`.
 */
export function nameOf(program: string): string {
  const word = program.split(' ', 1)[0] ?? '';
  const base = word.slice(word.lastIndexOf('/') + 1).replace(/[*?]/g, '');
  const fit = base
    .replace(/[^\w.-]+/g, '-')
    .replace(/^[.-]+/, '')
    .slice(0, MAX_NAME)
    .replace(/[._-]+$/, '');
  return NAME.test(fit) && !isDots(fit) ? fit : 'target';
}

/** The name itself, or with a number behind it. */
export function uniqueName(name: string, taken: (name: string) => boolean): string {
  let unique = name;
  for (let number = 2; taken(unique); number++) unique = `${name}-${number}`;
  return unique;
}
