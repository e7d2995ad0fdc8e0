import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import type { Exchange } from '../../../src/serve/exchange.js';
import { answerLivePage, LIVE_PATHS } from '../../../src/serve/live-page.js';

const SOURCE = new URL('../../../src/', import.meta.url);

interface Sent {
  readonly type: string | undefined;
  readonly text: string;
}

/** What is sent for a path. */
async function ask(path: string): Promise<Sent> {
  let sent: Sent = { type: undefined, text: '' };
  const send: Exchange['send'] = (headers, body) => {
    sent = { type: headers['Content-Type'], text: Buffer.from(body as Uint8Array).toString() };
  };
  await answerLivePage({ path, send } as Exchange);
  return sent;
}

describe('the live page', () => {
  it('sends its files', async () => {
    expect(await ask('/')).toEqual({
      type: 'text/html; charset=utf-8',
      text: await readFile(new URL('ui/page.html', SOURCE), 'utf8'),
    });
    expect((await ask('/live/page.css')).type).toBe('text/css; charset=utf-8');
    expect((await ask('/live/icon.svg')).type).toBe('image/svg+xml');
    expect((await ask('/live/uplot.js')).text).toContain('uPlot');
    expect((await ask('/live/uplot.css')).text).toContain('.u-wrap');
  });

  it('sends no other', async () => {
    await expect(ask('/live/../cli.js')).rejects.toThrow('is not of the live page');
    expect(LIVE_PATHS).not.toContain('/live/cli.js');
  });

  it('asks for nothing but what is sent', async () => {
    const html = await readFile(new URL('ui/page.html', SOURCE), 'utf8');
    const asked = [...html.matchAll(/(?:src|href)="(live\/[^"]*)"/g)].map(([, path]) => `/${path}`);
    expect(asked.filter((path) => !LIVE_PATHS.includes(path))).toEqual([]);
    expect(asked).toHaveLength(5);
  });

  it('has every script that its scripts import, and no other', async () => {
    const scripts = LIVE_PATHS.filter((path) => /^\/live\/\w+\//.test(path));
    const imported = new Set(['/live/ui/page.js']);
    for (const path of imported) {
      const source = new URL(path.replace('/live/', '').replace(/js$/, 'ts'), SOURCE);
      expect(existsSync(source)).toBe(true);
      const imports = (await readFile(source, 'utf8')).matchAll(/^(?:import|\}) (?!type ).*from '(\..*)';$/gm);
      for (const [, name = ''] of imports) imported.add(new URL(name, `http://x${path}`).pathname);
    }
    expect([...imported].sort()).toEqual([...scripts].sort());
  });
});
