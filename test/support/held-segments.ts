/** Segments that a process holds open. */
import { readdirSync, readlinkSync } from 'node:fs';

/** Paths of those below a folder, also of such as were removed. */
export function heldSegments(folder: string, pid: number | 'self' = 'self'): string[] {
  const descriptors = `/proc/${pid}/fd`;
  const links = readdirSync(descriptors).map((fd) => {
    try {
      return readlinkSync(`${descriptors}/${fd}`);
    } catch {
      return ''; // Closed meanwhile.
    }
  });
  return links.filter((link) => link.startsWith(folder) && link.includes('.seg'));
}
