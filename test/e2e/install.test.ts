// Promise: what README says puts `cgoprof` on the PATH does so.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Workshop } from '../support/cgoprof.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

let shop: Workshop;
beforeAll(() => {
  shop = new Workshop();
});
afterAll(() => shop.remove());

it('npm install -g . does', () => {
  expect(readFileSync(`${ROOT}README.md`, 'utf8')).toContain('npm run build && npm install -g .  ');
  const prefix = shop.path('prefix');
  execFileSync('npm', ['install', '-g', '--offline', '--prefix', prefix, '.'], { cwd: ROOT, stdio: 'pipe' });
  const env = { ...process.env, PATH: `${prefix}/bin:${process.env.PATH}` };
  expect(execFileSync('cgoprof', ['help'], { env, encoding: 'utf8' })).toContain('Usage: cgoprof ');
});
