/** How long a page that people look at waits for the service. */

/** Milliseconds. A service that is busy answers for the next look. */
export const GO_PATIENCE_MS = 2_000;

/** What was asked for, or what `late` says when it is not there in time; then it goes on, and fails, unheard. */
export async function inTime<T>(asked: Promise<T>, late: () => T): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const patience = new Promise<T>((resolve) => {
    timer = setTimeout(() => resolve(late()), GO_PATIENCE_MS);
  });
  try {
    return await Promise.race([asked, patience]);
  } finally {
    clearTimeout(timer);
  }
}
