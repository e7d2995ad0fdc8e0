// npm run lint:tidy: clang-tidy over the C++ that CMake builds, by the compile commands CMake wrote. See .clang-tidy.
import { readFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join, relative } from 'node:path';
import { ensurePackages } from './lib/debian.mjs';
import { main, ROOT, run, say } from './lib/process.mjs';
import { setUp } from './setup.mjs';

await main(() => {
  setUp({ withTests: true });
  ensurePackages(['tidy']);
  const commands = JSON.parse(readFileSync(join(ROOT, 'out/native/compile_commands.json'), 'utf8'));
  const files = [...new Set(commands.map(({ file }) => relative(ROOT, file)))].filter((file) =>
    // Benchmarks are one loop after another over a variable that is not used, which is Google Benchmark's own idiom.
    /(?<!_bench)\.(cc|cpp)$/.test(file),
  );
  say(`clang-tidy: ${files.length} files`);
  run(['run-clang-tidy', '-quiet', '-p', 'out/native', '-j', String(cpus().length), ...files]);
});
