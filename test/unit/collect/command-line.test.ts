import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, onTestFinished, test } from 'vitest';
import { commandLine } from '../../../src/collect/command-line.js';

test('a process that runs has the words it was started with, empty ones too; one that has ended has none', async () => {
  const child = spawn('cat', ['-', 'two words', ''], { stdio: ['pipe', 'ignore', 'ignore'] });
  onTestFinished(() => void child.kill());
  await once(child, 'spawn');
  const { pid = 0 } = child;
  expect(Buffer.from(commandLine('/proc', pid) ?? []).toString()).toBe('cat\0-\0two words\0');
  child.stdin?.end();
  await once(child, 'close');
  expect(commandLine('/proc', pid)).toBeUndefined();
});
