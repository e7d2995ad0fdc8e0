/**
 * What is called off after a time, or when somebody else calls it off. Not by AbortSignal.any, which keeps none of its
 * sources alive: of a timeout that nobody else holds, the next garbage collection makes none.
 */

/**
 * @param ms After which it is called off, with a TimeoutError.
 * @param cancel Calls it off earlier.
 * @param act Is given the signal, which is for as long as it takes.
 */
export async function withinTime<T>(
  ms: number,
  cancel: AbortSignal | undefined,
  act: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const controller = new AbortController();
  const sources = [AbortSignal.timeout(ms), ...(cancel === undefined ? [] : [cancel])];
  const callOff = () => controller.abort(sources.find(({ aborted }) => aborted)?.reason);
  // A timeout with a listener of its own is kept.
  for (const source of sources) source.addEventListener('abort', callOff);
  if (cancel?.aborted) callOff();
  try {
    return await act(controller.signal);
  } finally {
    for (const source of sources) source.removeEventListener('abort', callOff);
  }
}
