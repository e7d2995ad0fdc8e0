// Promise: what a run was to profile and could not is named at its end, with the reason, though its process is gone then.
import { mkdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { gunzipSync } from 'node:zlib';
import { Profile } from 'pprof-format';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Finished, Workshop } from '../support/cgoprof.js';
import { untilLooked } from '../support/run-looks.js';
import { Service } from '../support/service.js';

let shop: Workshop;
beforeAll(() => {
  shop = new Workshop();
  mkdirSync(shop.path('everybodys'), { mode: 0o755 });
});
afterAll(() => shop.remove());

/** Runs a shell script with -o, and what it starts until `cgoprof run` has looked at it. Also gives the program's pid. */
async function run(script: string, source: string): Promise<Finished & { pid: number }> {
  const HOLDS = shop.compile('holds', source);
  const args = ['--rate', '1', '-o', shop.path('merged.pb.gz'), '--profile', 'holds'];
  const service = await Service.run(shop, args, ['sh', '-c', script], {
    env: { HOLDS, OTHER: shop.path('everybodys') },
  });
  await untilLooked(shop.segments);
  return { ...(await service.end('')), pid: service.pid };
}

it('a program with a malloc of its own, behind a shell', async () => {
  const { code, stderr, pid } = await run('$HOLDS; exit $?', `${ALLOCATOR} ${HOLDS}`);
  expect([code, stderr.split('\n')]).toEqual([
    1,
    [
      `cgoprof: pid ${pid}: not profiled: its executable defines malloc itself, so no library can see what it allocates`,
      'cgoprof: run: sh: nothing was profiled, for the reason above',
      expect.stringMatching(/^ {2}Link the allocator as a shared library/),
      '',
    ],
  ]);
});

it('one of several, in the profile too', async () => {
  const { code, stderr, pid } = await run('$HOLDS </dev/null >/dev/null; CGOPROF_DIR=$OTHER $HOLDS; exit $?', HOLDS);
  const why = 'not profiled: it could not make a segment: its directory could not be made, or is not its user’s alone';
  const sentence = `cgoprof: pid ${pid}: ${why}`;
  expect([code, stderr]).toEqual([0, expect.stringContaining(`${sentence}\n`)]);
  expect(stderr).toContain(': 1009 B in use by C');
  const { comment, stringTable } = Profile.decode(gunzipSync(await readFile(shop.path('merged.pb.gz'))));
  expect(comment.map((index) => stringTable.strings[Number(index)])).toContain(sentence);
});

/** An allocator as simple as can be. */
const ALLOCATOR = `
#include <stddef.h>
static _Alignas(16) char memory[1 << 20];
static size_t used;
void* malloc(size_t size) {
  size_t at = __atomic_fetch_add(&used, (size + 15) / 16 * 16, __ATOMIC_RELAXED);
  return size > sizeof(memory) || at + size > sizeof(memory) ? NULL : memory + at;
}
void free(void* block) {}
`;

/** Holds one block until it is given a line, or the end of its input. */
const HOLDS = `
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
int main(void) {
  void* volatile kept = malloc(1009);
  char line[64];
  dprintf(1, "pid %d\\nready\\n", getpid());
  return kept == NULL || read(0, line, sizeof(line)) < 0;
}
`;
