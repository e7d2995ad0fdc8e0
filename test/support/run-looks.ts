/** Waits for what a running `cgoprof run` does without a sound: look at its processes and segments. */
import { execFileSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';

/**
 * Resolves when all that is there now was looked at. What has the name of a segment is opened by a look, after what was
 * there at an earlier one. The second pipe is made when the first was opened, so it is a later look that opens it.
 *
 * @param segments The folder of its segments.
 */
export async function untilLooked(segments: string): Promise<void> {
  for (const name of ['1-1.seg', '2-1.seg']) {
    const pipe = join(segments, name);
    execFileSync('mkfifo', [pipe]);
    const writer = await open(pipe, 'w'); // Waits for somebody who opens it to read.
    await writer.close();
    rmSync(pipe);
  }
}
