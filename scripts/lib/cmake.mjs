// Building native/: the preload library, native tests and fuzzers.
import { nodeBin, run } from './process.mjs';

/**
 * Configures native/ by cmake-js into a folder and builds it there. Not `cmake-js compile`, which answers a failed build
 * by deleting all that was built.
 *
 * @param {string} folder build folder, relative to the root
 * @param {{ settings?: string[], targets?: string[] }} [options] settings: CMake cache entries (NAME=VALUE); targets: what
 *   to build, [] for all
 */
export function buildWithCmake(folder, { settings = [], targets = [] } = {}) {
  const definitions = settings.map((setting) => `--CD${setting}`);
  run([nodeBin('cmake-js'), 'configure', '-d', 'native', '-O', folder, ...definitions], { quiet: true });
  run(['cmake', '--build', folder, ...(targets.length > 0 ? ['--target', ...targets] : [])], { quiet: true });
}
