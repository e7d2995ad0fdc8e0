/**
 * TARGET as it is given to `serve`: a pid, a segment file, or the name or command line of a process that may come and go;
 * and the name under which it is served, which is a part of URLs.
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

const NAME = /^[\w.-]+$/;

/** A longer one comes from a hostile program. */
const MAX_NAME = 64;

/** URLs cannot hold these as parts of a path: they mean directories. */
const isDots = (text: string): boolean => /^\.{1,2}$/.test(text);

/**
 * Splits NAME=TARGET and tells what TARGET is.
 *
 * @param isSegment Whether a path leads to a segment.
 * @throws CgoprofError (usage)
 */
export function parseTarget(argument: string, isSegment: (path: string) => boolean): NamedTarget {
  const [, name, text = argument] = /^([\w.-]+)=(.*)$/s.exec(argument) ?? [];
  if (text === '' || (name !== undefined && isDots(name))) {
    throw usageError(
      `serve ${argument}`,
      text === '' ? 'no target' : `not a name: ${name}`,
      'TARGET is a pid, a segment file, or the name of a program; NAME=TARGET names it.',
    );
  }
  return { name, text, kind: kindOf(text, isSegment) };
}

function kindOf(text: string, isSegment: (path: string) => boolean): TargetKind {
  if (/^\d+$/.test(text)) return 'pid';
  return text.endsWith('.seg') || isSegment(text) ? 'file' : 'pattern';
}

/** Splits [NAME=]URL. A name never holds what follows the scheme of a URL. */
export function parseNamedUrl(text: string): { readonly name: string | undefined; readonly url: string } {
  const [, name, url = text] = /^([\w.-]+)=(.*)$/s.exec(text) ?? [];
  return { name, url };
}

/** The base name of an executable, or of the program that a pattern names, as a part of a URL. */
export function nameOf(program: string): string {
  const word = program.split(' ', 1)[0] ?? '';
  const base = word.slice(word.lastIndexOf('/') + 1).replace(/[*?]/g, '');
  const fit = base.replace(/[^\w.-]+/g, '-').slice(0, MAX_NAME);
  return NAME.test(fit) && !isDots(fit) ? fit : 'target';
}

/** The name itself, or with a number behind it. */
export function uniqueName(name: string, taken: (name: string) => boolean): string {
  let unique = name;
  for (let number = 2; taken(unique); number++) unique = `${name}-${number}`;
  return unique;
}
