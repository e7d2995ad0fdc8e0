/** Where this machine keeps what symbolizing needs, and what it found out. */
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { Context } from '../context.js';
import { SymbolCache } from './symbol-cache.js';

/** Where distributions put separate debug files. */
export const DEBUG_ROOTS = ['/usr/lib/debug'];

/** Of this user, on disk. */
export function symbolCache({ env }: Pick<Context, 'env'>): SymbolCache {
  return new SymbolCache(join(env.XDG_CACHE_HOME || join(env.HOME || homedir(), '.cache'), 'cgoprof'));
}
