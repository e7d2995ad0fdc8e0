/**
 * `cgoprof serve TARGET...`: the net/http/pprof interface over merged profiles, until it is told to end.
 */
import { once } from 'node:events';
import { statSync } from 'node:fs';
import { FollowedTarget } from '../collect/followed-target.js';
import {
  type FileKind,
  type NamedTarget,
  nameOf,
  parseNamedUrl,
  parseTarget,
  uniqueName,
} from '../collect/target-name.js';
import { type TargetSource, targetSource } from '../collect/target-sources.js';
import { type Context, DONE, type Ending } from '../context.js';
import { errorCode, usageError } from '../errors.js';
import type { NativeBinding } from '../native-binding.js';
import { saySameProcesses, sayWhatIsServed } from './say-served.js';
import { type ListenOptions, lookAt, servedTargetMaker, startServing } from './serving.js';

export interface ServeOptions extends ListenOptions {
  /** URLs of the services' net/http/pprof, or none; of one of several targets as NAME=URL. */
  readonly go: readonly string[];
  readonly showPlumbing: boolean;
}

export async function serve(context: Context, targets: readonly string[], options: ServeOptions): Promise<Ending> {
  const native = await context.loadNative();
  const followed = followTargets(context, native, targets);
  const services = servicesOf(
    options.go,
    followed.map(({ name }) => name),
  );
  const make = servedTargetMaker(context, native, options);
  const served = followed.map((one) => make(one, services.get(one.name)));
  for (const one of served) sayWhatIsServed(context, one, services.get(one.name));
  saySameProcesses(context, served);

  const stop = await startServing(context, served, () => lookAt(followed), options);
  await Promise.race([once(process, 'SIGINT'), once(process, 'SIGTERM')]);
  stop();
  for (const one of followed) one.close();
  return DONE;
}

/** @throws CgoprofError for a pid or a file with nothing to read */
function followTargets(context: Context, native: NativeBinding, targets: readonly string[]): FollowedTarget[] {
  const parsed = targets.map((target) => parseTarget(target, (path) => fileAt(native, path)));
  const names = new Set<string>();
  const texts = new Set<string>();
  for (const { name, text } of parsed) {
    if (texts.has(text))
      throw usageError(`serve ${text}`, 'the target is given twice', 'Whoever asks for it shares it.');
    texts.add(text);
    if (name === undefined) continue;
    if (names.has(name)) throw usageError(`serve ${name}=${text}`, 'the name is taken', 'Give each target its own.');
    names.add(name);
  }
  return parsed.map((target) => {
    const { source, program } = knownSource(context, native, target);
    const name = target.name ?? uniqueName(nameOf(program), (name) => names.has(name));
    names.add(name);
    return new FollowedTarget(context, native, name, source);
  });
}

/** Its source, and the program after which it is called where no name is given. @throws CgoprofError */
function knownSource(
  context: Context,
  native: NativeBinding,
  target: NamedTarget,
): { readonly source: TargetSource; readonly program: string } {
  const source = targetSource(context, native, target);
  // The same name whether the process runs already or not: it is a part of addresses.
  if (target.kind === 'pattern') return { source, program: target.text };
  let first = source(undefined);
  const program = first?.found.header.exePath ?? '';
  return {
    program,
    source: (ended) => {
      const next = first ?? source(ended);
      first = undefined;
      return next;
    },
  };
}

function fileAt(native: NativeBinding, path: string): FileKind {
  try {
    native.readSegmentHeader(path);
    return 'segment';
  } catch (error) {
    if (errorCode(error).startsWith('SEGMENT_')) return 'segment'; // Why it cannot be read is told when it is.
    return otherFileAt(path);
  }
}

/** What is no regular file says nothing where a program of its name is meant. */
function otherFileAt(path: string): FileKind {
  try {
    const stat = statSync(path);
    if (stat.isFile()) return (stat.mode & 0o111) === 0 ? 'useless' : undefined;
    if (!/\/|^\.\.?$/.test(path)) return undefined;
    return stat.isDirectory() ? 'directory' : 'useless';
  } catch {
    return undefined;
  }
}

const SEVERAL_HINT = 'One of several targets is named: --go NAME=URL.';

/** By the name of the target. @throws CgoprofError (usage) */
export function servicesOf(go: readonly string[], names: readonly string[]): ReadonlyMap<string, string> {
  const services = new Map<string, string>();
  for (const text of go) {
    const { name, url } = parseNamedUrl(text);
    const target = name ?? (names.length === 1 ? names[0] : undefined);
    if (target === undefined) throw usageError(`--go ${text}`, `of which of ${names.join(', ')}?`, SEVERAL_HINT);
    if (!names.includes(target)) throw usageError(`--go ${text}`, `no target ${target}, only ${names.join(', ')}`);
    if (services.has(target)) throw usageError(`--go ${text}`, `${target} has one already`, SEVERAL_HINT);
    services.set(target, url);
  }
  return services;
}
