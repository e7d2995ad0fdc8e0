// Promise: with the library in front of it every program says the same, ends the same way and leaves the same files:
// shells and their tricks, the loader itself, programs the loader does not let it into, and big ones.
import { chmodSync, chownSync, readFileSync, realpathSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Finished, NOBODY, type StartOptions, Workshop } from '../support/cgoprof.js';

const isRoot = process.getuid?.() === 0;

let shop: Workshop;
beforeAll(() => {
  shop = new Workshop();
});
afterAll(() => shop.remove());

/** How the library may be there: every process recorded in full, or all of them left alone. */
const MODES = [
  ['recording', { CGOPROF_PROFILE: 'all', CGOPROF_RATE: '1', CGOPROF_FOLLOW: '1', CGOPROF_KEEP: '1' }],
  ['dormant', { CGOPROF_PROFILE: 'no-such-program', CGOPROF_KEEP: '1' }],
] as const;

const bare = (words: readonly string[], options: StartOptions = {}): Promise<Finished> =>
  shop.launch(words, options).finished;

function preloaded(words: readonly string[], mode: object, options: StartOptions = {}): Promise<Finished> {
  const env = { ...options.env, ...mode, LD_PRELOAD: shop.library };
  return shop.launch(words, { ...options, env }).finished;
}

const SCRIPT = `
set -u
trap 'echo left' EXIT
words=(one two three)
count() { local n=0; while read -r _; do n=$((n + 1)); done; echo "$n lines"; }
printf '%s\\n' "\${words[@]}" | sort -r | tee >(cat >/dev/null) | count; echo aside >&2
(cd / && pwd; exit 3); echo "subshell $?"
text=$(cat <<END
here \${words[1]} $(echo nested)
END
)
echo "$text"
diff <(echo a) <(echo b) || echo "differ $?"
sh -c 'kill -TERM $$'; echo "killed $?"
{ sleep 100 & kill $!; wait $!; } 2>/dev/null; echo "waited $?"
ls /proc/self/fd
eval 'big=$(seq 1 20000)'; echo "\${#big}"
exec bash -c 'echo "executed $0 $#"; exit 7' name a b
`;

describe.each(MODES)('%s', (name, mode) => {
  beforeEach(() => shop.removeSegments());
  afterEach(({ task }) => {
    const isSeen = !task.name.startsWith('a static');
    expect(shop.segmentNames().length > 0).toBe(name === 'recording' && isSeen);
  });

  it.each([
    ['a shell script of all sorts', ['bash', '-c', SCRIPT]],
    ['the smaller shell', ['sh', '-c', 'x=$(echo 1); echo $x; (exit 4); echo $?; exec ls /']],
    ['env, which looks at what it was given', ['env', '-i', 'A=1', 'env']],
    ['a pipeline that is broken', ['bash', '-c', 'set -o pipefail; seq 1 100000 | head -n 1; echo "$?"']],
    ['a program that aborts', ['sh', '-c', 'kill -ABRT $$']],
    [
      'perl',
      ['perl', '-e', 'my %h = map { $_ => "x" x $_ } 1 .. 997; print length(join("", values %h)), "\\n"; exit 5'],
    ],
    ['sorting a file', ['sort', '-n', '/proc/filesystems']],
    ['a garbage collector and a JIT compiler', [process.execPath, '-e', 'console.log(Array(99).fill("é").join(""))']],
  ])('%s', async (_, words) => {
    const expected = await bare(words);
    expect([expected.stdout, expected.signal]).not.toEqual(['', null]);
    expect(await preloaded(words, mode)).toEqual(expected);
  });

  it('a compiler, which leaves the same file', async () => {
    const source = shop.write('hello.c', '#include <stdio.h>\nint main(void) { return puts("hello") < 0; }\n');
    const compile = (output: string) => ['cc', '-O2', '-g0', '-c', source, '-o', shop.path(output)];
    const expected = await bare(compile('bare.o'));
    expect(expected).toMatchObject({ code: 0, stderr: '' });
    expect(await preloaded(compile('preloaded.o'), mode)).toEqual(expected);
    expect(readFileSync(shop.path('preloaded.o')).equals(readFileSync(shop.path('bare.o')))).toBe(true);
  });

  it('ldd, which lists us and is otherwise right', async () => {
    const words = ['ldd', realpathSync('/bin/bash')];
    const withoutAddresses = ({ stdout, ...rest }: Finished) => ({
      ...rest,
      libraries: stdout.replaceAll(/0x[0-9a-f]+/g, '0x').split('\n'),
    });
    const { libraries, ...result } = withoutAddresses(await preloaded(words, mode));
    expect(libraries).toContain(`\t${shop.library} (0x)`);
    const others = libraries.filter((library) => !library.includes(shop.library));
    expect({ ...result, libraries: others }).toEqual(withoutAddresses(await bare(words)));
  });

  it('a static program', async () => {
    const source =
      '#include <stdio.h>\n#include <stdlib.h>\nint main(void) { return puts("alone") < 0 || !malloc(97); }\n';
    const program = shop.compile('alone', source, ['-static']);
    const expected = await bare([program]);
    expect(expected).toMatchObject({ code: 0, stdout: 'alone\n', stderr: '' });
    expect(await preloaded([program], mode)).toEqual(expected);
  });

  it.skipIf(!isRoot)('a setuid program (needs root to make one)', async ({ skip }) => {
    const program = shop.compile('as-nobody', SETUID_PROGRAM);
    chownSync(program, NOBODY, NOBODY);
    chmodSync(program, 0o4755);
    const expected = await bare([program]);
    if (expected.stdout.startsWith('0,')) skip('this file system gives no setuid bit effect');
    expect(expected).toMatchObject({ code: 0, stdout: `${NOBODY}, secure 1, mapped 0\n`, stderr: '' });
    expect(await preloaded([program], mode)).toEqual(expected);
    // The same file without the bit does have us in it, so the comparison can tell.
    chmodSync(program, 0o755);
    expect((await preloaded([program], mode)).stdout).toBe('0, secure 0, mapped 1\n');
  });
});

/** Says who it runs as, and whether the library is in it. */
const SETUID_PROGRAM = `#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>
int main(void) {
  char line[4096];
  int mapped = 0;
  FILE *maps = fopen("/proc/self/maps", "r");
  while (maps && fgets(line, sizeof line, maps)) mapped |= strstr(line, "libcgoprof") != NULL;
  printf("%d, secure %lu, mapped %d\\n", (int)geteuid(), getauxval(AT_SECURE), mapped);
  return 0;
}
`;

it('a program that is killed by its own fault dies of it', async () => {
  const program = shop.compile('faulty', '#include <stdlib.h>\nint main(void) { free((void *)8); return 0; }\n', [
    '-w',
  ]);
  const expected = await bare([program]);
  expect(expected).toMatchObject({ code: null, stdout: '' });
  for (const [, mode] of MODES) expect(await preloaded([program], mode)).toEqual(expected);
});
