/**
 * `run --serve`: the server over the processes of a run, in the same process as `run`, for as long as the command runs.
 */
import { FollowedTarget } from '../collect/followed-target.js';
import { RunProcesses } from '../collect/run-processes.js';
import { NoProcessYet } from '../collect/target-sources.js';
import { type Context, say } from '../context.js';
import type { CgoprofError } from '../errors.js';
import type { NativeBinding } from '../native-binding.js';
import type { ServedTarget } from '../serve/served-target.js';
import { cAlone } from './say-served.js';
import { type ListenOptions, type MakeServed, servedTargetMaker, startServing } from './serving.js';

export interface RunServing extends ListenOptions {
  /** CGOPROF_RUN_ID. */
  readonly runId: string;
  /** The name of the command, for as long as nothing of it is profiled. */
  readonly name: string;
  /** URL of the net/http/pprof of the first process that lives, or none. */
  readonly go: string | undefined;
  readonly showPlumbing: boolean;
  /** Why processes were not profiled, as far as that was seen. */
  readonly failures: () => readonly CgoprofError[];
}

/** @returns what ends it. @throws CgoprofError when it cannot listen */
export async function serveRun(context: Context, native: NativeBinding, run: RunServing): Promise<() => void> {
  const processes = new RunProcesses(context, native, run.runId);
  const targets = new RunTargets(
    processes,
    nothingYet(context, native, run),
    servedTargetMaker(context, native, run),
    run.go,
  );
  const stop = await startServing(context, targets.list, () => targets.look(), run);
  if (run.go === undefined || run.go === 'none') say(context, cAlone(run.go));
  return () => {
    stop();
    processes.close();
  };
}

/** Stands there until there is something to be served, and says why there is not. */
function nothingYet(context: Context, native: NativeBinding, { name, failures }: RunServing): FollowedTarget {
  return new FollowedTarget(context, native, name, () => {
    const [failure] = failures();
    throw new NoProcessYet({
      what: `run: ${name}`,
      why: failure === undefined ? 'none of its processes is profiled yet' : failure.message,
      hint:
        failure?.hint ??
        'A program that is not Go is chosen by --profile NAME, or all; children of profiled processes by --follow.',
    });
  });
}

/** What is served of a run: one list, in which targets come and go. */
class RunTargets {
  readonly list: ServedTarget[] = [];
  readonly #served = new WeakMap<FollowedTarget, ServedTarget>();
  readonly #nothing: ServedTarget;

  constructor(
    private readonly processes: RunProcesses,
    nothing: FollowedTarget,
    private readonly make: MakeServed,
    private readonly go: string | undefined,
  ) {
    this.#nothing = make(nothing, undefined);
    this.list.push(this.#nothing);
  }

  look(): void {
    this.processes.look();
    const served = this.processes.targets.map((followed) => this.#servedFor(followed));
    this.list.splice(0, this.list.length, ...(served.length > 0 ? served : [this.#nothing]));
  }

  #servedFor(followed: FollowedTarget): ServedTarget {
    const known = this.#served.get(followed);
    if (known !== undefined) return known;
    const served: ServedTarget = this.make(followed, this.go, () => this.list[0] === served);
    this.#served.set(followed, served);
    return served;
  }
}
