/**
 * `cgoprof env`: prints the environment that a Dockerfile or a unit file needs.
 */
import { type PreloadSettings, preloadVariables } from '../collect/preload-environment.js';
import { type Context, DONE, type Ending } from '../context.js';

export async function env(context: Context, settings: PreloadSettings): Promise<Ending> {
  const variables = preloadVariables(context, settings);
  for (const [name, value] of Object.entries(variables)) context.writeOut(`${name}=${value}\n`);
  return DONE;
}
