// Finds the Go command, which the usual installation leaves off the PATH.
import { capture, findProgram, StepError } from './process.mjs';

const USUAL_FOLDERS = ['/usr/local/go/bin', '/usr/lib/go/bin', `${process.env.HOME}/go/bin`, '/snap/bin'];

/** Path of the go command: $GO, else the one on the PATH or in the usual places. @throws {StepError} when there is none */
export function findGo() {
  const go = process.env.GO || findProgram('go', USUAL_FOLDERS);
  if (!go)
    throw new StepError(
      'Go is not installed',
      'unpack a release from go.dev/dl into /usr/local, or set GO=/path/to/go',
    );
  return go;
}

/** `go env NAME`, for the given go command and environment. */
export function goEnv(go, name, env = {}) {
  return capture([go, 'env', name], { env }).trim();
}
