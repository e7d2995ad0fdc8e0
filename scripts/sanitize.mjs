// npm run test:sanitize: the native tests under AddressSanitizer with UndefinedBehaviorSanitizer, then under
// ThreadSanitizer. Each has a build folder of its own.
import { buildWithCmake } from './lib/cmake.mjs';
import { main, run, say } from './lib/process.mjs';
import { setUp } from './setup.mjs';

const BUILDS = [
  { folder: 'out/native-asan', sanitizers: 'address,undefined' },
  { folder: 'out/native-tsan', sanitizers: 'thread' },
];

/** The first finding ends the test that made it: none is only printed. */
const OPTIONS = {
  ASAN_OPTIONS: 'detect_stack_use_after_return=1:strict_string_checks=1',
  UBSAN_OPTIONS: 'halt_on_error=1:print_stacktrace=1',
  TSAN_OPTIONS: 'halt_on_error=1:second_deadlock_stack=1',
};

await main(() => {
  setUp({ withTests: true });
  for (const { folder, sanitizers } of BUILDS) {
    say(`native tests with -fsanitize=${sanitizers} → ${folder}`);
    buildWithCmake(folder, { settings: [`CGOPROF_SANITIZE=${sanitizers}`] });
    run(['ctest', '--test-dir', folder, '--output-on-failure', '--no-tests=error', '--parallel', '2'], {
      env: OPTIONS,
    });
  }
});
