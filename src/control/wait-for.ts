/** Waits for something that another process does in its own time. */

const STEP_MS = 50;

/** Looks again and again, for `ms` at most. False if it has not come. */
export async function waitFor(hasCome: () => boolean, ms: number): Promise<boolean> {
  for (let waited = 0; ; waited += STEP_MS) {
    if (hasCome()) return true;
    if (waited >= ms) return false;
    await new Promise((resolve) => setTimeout(resolve, STEP_MS));
  }
}
